/** Loads a checkpoint, a directory in the Hugging Face layout or a GGUF file, for given kernels. */
import type { Kernels, LinearWeight, RotaryTable } from '@contextlora/kernels';

import { ModelError } from '../model-error.js';
import type { DecoderLayerWeights } from '../pass/decoder-layer.js';
import type { RowMatrix } from '../pass/matrix-rows.js';
import { rotaryTable } from '../pass/rotary-table.js';
import type { VisionWeights } from '../pass/vision-tower.js';
import type { ModelSpec } from '../spec/model-spec.js';
import { layerTensors, modelTensors } from '../spec/model-tensors.js';
import { readTokenizer } from '../text/read-tokenizer.js';
import type { RenderPrompt } from '../text/render-prompt.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import { type OpenBytes, openFileBytes } from './byte-source.js';
import { openCheckpoint } from './open-checkpoint.js';
import { type BaseFormat, openWeightReader, requireBaseFormat } from './read-weights.js';
import { sizeOf } from './weight-files.js';

export interface LoadedModel {
  readonly spec: ModelSpec;
  readonly kernels: Kernels;
  readonly tokenizer: TextTokenizer;
  /** Every id that ends an answer: the tokenizer's end token and those that the checkpoint lists. */
  readonly endIds: readonly number[];
  /** `[vocabulary, hidden]`, outside any heap; `matrixRows` looks rows up. */
  readonly embedding: RowMatrix;
  readonly layers: readonly DecoderLayerWeights[];
  readonly finalNorm: Float32Array;
  /** The output matrix `[vocabulary, hidden]`; the embedding itself when tied. */
  readonly head: RowMatrix;
  readonly headWeight: LinearWeight;
  readonly rotary: RotaryTable;
  readonly vision?: VisionWeights;
  readonly connector?: LinearWeight;
  readonly parameterCount: number;
  /** Puts the prompt of an example into another form before it is read; see `withChatPrompts`. */
  readonly renderPrompt?: RenderPrompt;
  dispose(): void;
}

export interface LoadModelOptions {
  readonly kernels: Kernels;
  /** The directory of tokenizer.json, if it is not that of the weights. */
  readonly tokenizerDirectory?: string;
  /** `stored` by default for a GGUF file, `f32` for a directory. */
  readonly base?: BaseFormat;
  /** How files are read; a test can count the reads. */
  readonly openBytes?: OpenBytes;
}

/** Longer contexts would cost memory for angles that training on small devices has no room to use. */
const mostPositions = 8192;

/**
 * Loads a model from a directory in the Hugging Face layout or from a GGUF file. With a compact `base` the weights of the decoder layers
 * are kept compact and expanded where they are used. Embedding and head are float32, or with `stored` as in the file, where a tied pair
 * is kept once; the vision tower is float32.
 *
 * @throws ModelError when a file is missing or damaged, the architecture or a setting is not supported, tensors are missing, misshapen or
 * not what the config speaks of (all listed at once), or weights are NaN or infinite.
 */
export async function loadModel(
  path: string,
  { kernels, tokenizerDirectory, base, openBytes = openFileBytes }: LoadModelOptions,
): Promise<LoadedModel> {
  requireBaseFormat(base, 'loadModel');
  const checkpoint = await openCheckpoint(path, { openBytes });
  const { spec, weights: files } = checkpoint;
  try {
    const tokenizer = await (tokenizerDirectory === undefined
      ? checkpoint.tokenizer()
      : readTokenizer(tokenizerDirectory, { modelIds: { ends: checkpoint.endIds } }));
    const { text } = spec;
    const wanted = modelTensors(spec);
    const reader = openWeightReader(files, { kernels, wanted, path, where: 'loadModel' });
    const layers: DecoderLayerWeights[] = [];
    const format = base ?? defaultFormat(checkpoint.format);
    for (let layerIndex = 0; layerIndex < text.layerCount; layerIndex++)
      layers.push(await reader.decoderLayer(text, layerIndex, format));
    const rowsFormat = format === 'stored' ? 'stored' : 'f32';
    const embeddingName = `${text.prefix}embed_tokens`;
    const embedding = await reader.matrix(embeddingName, rowsFormat);
    const finalNorm = await reader.tensor(`${text.prefix}norm.weight`);
    const head = text.tiedHead ? embedding : await reader.matrix('lm_head', rowsFormat);
    const headWeight = reader.prepare(text.tiedHead ? embeddingName : 'lm_head', head);
    const connector = spec.vision && (await reader.linear(spec.vision.connector.name));
    const vision = spec.vision && (await reader.vision(spec.vision));
    return {
      spec,
      kernels,
      tokenizer,
      endIds: [
        ...new Set([...(tokenizer.endId === undefined ? [] : [tokenizer.endId]), ...checkpoint.endIds]),
      ],
      embedding,
      layers,
      finalNorm,
      head,
      headWeight,
      rotary: rotaryTable(
        text.ropeTheta,
        text.headDim,
        Math.min(text.maximumPositions, mostPositions),
        text.ropeScaling,
      ),
      ...(vision && connector ? { vision, connector } : {}),
      parameterCount: [...wanted.values()].reduce((sum, shape) => sum + sizeOf(shape), 0),
      dispose() {
        disposeLayers(layers);
        headWeight.dispose();
        connector?.dispose();
        for (const weight of vision ? visionLinears(vision) : []) weight.dispose();
      },
    };
  } finally {
    await files.close();
  }
}

export interface LoadedLayers {
  readonly spec: ModelSpec;
  /** Layers `start` to `end`, in order. */
  readonly layers: readonly DecoderLayerWeights[];
  dispose(): void;
}

/** Loads decoder layers `[start, end)` and reads no other tensor's bytes, as one stage of a pipeline needs. */
export async function loadLayers(
  path: string,
  {
    kernels,
    start,
    end,
    base,
    openBytes = openFileBytes,
  }: Omit<LoadModelOptions, 'tokenizerDirectory'> & { readonly start: number; readonly end: number },
): Promise<LoadedLayers> {
  requireBaseFormat(base, 'loadLayers');
  const checkpoint = await openCheckpoint(path, { openBytes });
  const { spec, weights: files } = checkpoint;
  try {
    const { layerCount } = spec.text;
    if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end > layerCount || start >= end)
      throw new ModelError(
        'MODEL_INPUT_INVALID',
        'loadLayers',
        `layers ${start} to ${end} of ${path} do not exist; it has layers 0 to ${layerCount}`,
      );
    const wanted = layerTensors(spec, { start, end });
    const reader = openWeightReader(files, { kernels, wanted, path, where: 'loadLayers' });
    const layers: DecoderLayerWeights[] = [];
    const format = base ?? defaultFormat(checkpoint.format);
    for (let layerIndex = start; layerIndex < end; layerIndex++)
      layers.push(await reader.decoderLayer(spec.text, layerIndex, format));
    return {
      spec,
      layers,
      dispose: () => {
        disposeLayers(layers);
      },
    };
  } finally {
    await files.close();
  }
}

const defaultFormat = (format: 'safetensors' | 'gguf'): BaseFormat => (format === 'gguf' ? 'stored' : 'f32');

const disposeLayers = (layers: readonly DecoderLayerWeights[]) => {
  for (const { linears } of layers) for (const weight of Object.values(linears)) weight.dispose();
};

const visionLinears = ({ patches, layers, projector }: VisionWeights): LinearWeight[] => [
  patches,
  ...(projector ? [projector] : []),
  ...layers.flatMap(({ q, k, v, out, up, down }) => [q, k, v, out, up, down]),
];
