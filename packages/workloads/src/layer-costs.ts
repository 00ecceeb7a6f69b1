/**
 * What each layer of a model costs in the training of one task, per sample.
 *
 * The layers are the embedding (with towers and connector, if the model has them), the decoder layers, and the head. FLOPs are
 * those of the products that `decoderLayer`, `languageLoss` and `visionTower` ask of the kernels, as `countFlops` counts them: a linear
 * layer computes through its base and its active segments, forward and for the gradient of its input; gradients of A and B only where
 * something trains; a gradient of an input only where something trains below it. Freezing and masking appear as these numbers and in no
 * other way.
 */
import { type LayerLinear, layerLinears, type ModelSpec } from '@contextlora/model';
import type { Partition, Roles } from '@contextlora/lora';
import type { LayerCost } from '@contextlora/scheduler';

import {
  type AdaptedLinear,
  adaptedLinears,
  downFlops,
  gradientFlops,
  segmentBytes,
  throughFlops,
  trainedBytes,
} from './adapted-linear.js';
import { decoderLayerBytes, embeddingBytes, headBytes, type KeptFormat } from './base-bytes.js';
import {
  type DecoderLinears,
  layerBackwardFlops,
  layerForwardFlops,
  layerKeptBytes,
} from './decoder-layer-cost.js';
import { audioFlops } from './audio-flops.js';
import { visionFlops } from './vision-flops.js';

/** The size of one training sample of a task. */
export interface SampleShape {
  /** Tokens of prompt and answer, including those of images and sounds. */
  readonly tokens: number;
  /** Tokens whose logits the loss needs. */
  readonly answered: number;
  /** Columns of the output matrix that are scored: the labels, or the whole vocabulary by default. */
  readonly columns?: number;
  /** Images in the sample; 0 by default. */
  readonly images?: number;
  /** Positions of the audio tower that the sounds of the sample fill; 0 by default. */
  readonly audioPositions?: number;
  /** Whether the towers' outputs are already computed, so that they do not run. */
  readonly featuresKept?: boolean;
}

export interface LayerCostOptions {
  readonly sample: SampleShape;
  /** Format of the decoder layers' frozen weights in memory; `f32` by default. */
  readonly base?: KeptFormat;
  /** Bytes per number sent between devices; 4 by default. */
  readonly messageBytes?: number;
}

/** Costs from the embedding to the head, for a step that gives the tasks these roles. */
export function layerCosts(
  spec: ModelSpec,
  partition: Partition,
  roles: Roles,
  { sample, base = 'f32', messageBytes = 4 }: LayerCostOptions,
): LayerCost[] {
  const linears = adaptedLinears(spec, partition, roles);
  const linearNamed = (name: string): AdaptedLinear => {
    const linear = linears.get(name);
    if (!linear) throw new Error(`internal: the model has no linear layer ${name}`);
    return linear;
  };
  const decoderLayers = Array.from(
    { length: spec.text.layerCount },
    (_, index) =>
      Object.fromEntries(
        layerLinears.map((name) => [name, linearNamed(`${spec.text.prefix}layers.${index}.${name}`)]),
      ) as Record<LayerLinear, AdaptedLinear>,
  );
  const connector = spec.vision && linearNamed(spec.vision.connector.name);
  const firstTrained = firstTrainedLayer(decoderLayers, sample.images ? connector : undefined);
  const outputBytes = messageBytes * spec.text.hiddenSize * sample.tokens;
  return [
    { ...embeddingCost(spec, connector, { sample, trains: firstTrained < 0 }), outputBytes },
    ...decoderLayers.map((layer, index): LayerCost => {
      const backward =
        index >= firstTrained
          ? layerBackwardFlops(layer, spec, sample.tokens, { input: index > firstTrained })
          : { input: 0, weight: 0 };
      return {
        name: `layer ${index}`,
        forwardFlops: layerForwardFlops(layer, spec, sample.tokens),
        inputFlops: backward.input,
        weightFlops: backward.weight,
        parameterBytes: Object.values(layer).reduce(
          (sum, linear) => sum + segmentBytes(linear),
          decoderLayerBytes(spec, index, base),
        ),
        ...trainedBytes(Object.values(layer)),
        activationBytes: index >= firstTrained ? layerKeptBytes(layer, spec, sample.tokens) : 0,
        outputBytes,
      };
    }),
    headCost(spec, sample, { trains: firstTrained < Infinity }),
  ];
}

/** Index of the lowest decoder layer with a trained segment; −1 if the connector before them trains, Infinity if nothing does. */
function firstTrainedLayer(
  decoderLayers: readonly DecoderLinears[],
  connector: AdaptedLinear | undefined,
): number {
  const trains = ({ trainedRanks }: AdaptedLinear) => trainedRanks > 0;
  if (connector && trains(connector)) return -1;
  const index = decoderLayers.findIndex((linears) => Object.values(linears).some(trains));
  return index < 0 ? Infinity : index;
}

function embeddingCost(
  spec: ModelSpec,
  connector: AdaptedLinear | undefined,
  {
    sample: { images = 0, audioPositions = 0, featuresKept = false },
    trains,
  }: { sample: SampleShape; trains: boolean },
): Omit<LayerCost, 'outputBytes'> {
  const { text, vision, audio } = spec;
  const imageTokens = vision ? images * vision.tokenCount : 0;
  const trained = trains ? connector : undefined;
  return {
    name: 'embedding',
    forwardFlops:
      (vision && !featuresKept ? images * visionFlops(vision, text.hiddenSize) : 0) +
      (audio && audioPositions > 0 && !featuresKept ? audioFlops(audio, audioPositions) : 0) +
      (connector ? throughFlops(connector, imageTokens) : 0),
    inputFlops: 0,
    weightFlops: trained ? gradientFlops(trained, imageTokens) + downFlops(trained, imageTokens) : 0,
    parameterBytes: embeddingBytes(spec) + (connector ? segmentBytes(connector) : 0),
    ...trainedBytes(trained ? [trained] : []),
    activationBytes: trained ? 4 * imageTokens * (trained.inFeatures + trained.activeRanks) : 0,
  };
}

function headCost(
  spec: ModelSpec,
  { answered, columns = spec.text.vocabularySize }: SampleShape,
  { trains }: { trains: boolean },
): LayerCost {
  const { hiddenSize } = spec.text;
  const flops = 2 * answered * hiddenSize * columns;
  return {
    name: 'head',
    forwardFlops: flops,
    inputFlops: trains ? flops : 0,
    weightFlops: 0,
    parameterBytes: headBytes(spec),
    gradientBytes: 0,
    optimizerBytes: 0,
    activationBytes: trains ? 4 * answered * (2 * hiddenSize + 1 + columns) : 0,
    outputBytes: 0,
  };
}
