/** Loads a checkpoint, a directory in the Hugging Face layout or a GGUF file, for given kernels. */
import type { Kernels, LinearWeight } from '@contextlora/kernels';

import type { DecoderLayerWeights } from '../pass/decoder-layer.js';
import type { AudioWeights } from '../pass/audio-tower.js';
import type { EncoderLayerWeights } from '../pass/encoder-layer.js';
import type { RowMatrix } from '../pass/matrix-rows.js';
import { rotaryTable } from '../pass/rotary-table.js';
import type { VisionWeights } from '../pass/vision-tower.js';
import { allLayers, decoderLayersOf, includes, type LayerRange } from '../spec/layer-range.js';
import { modelTensors, rangeTensors } from '../spec/model-tensors.js';
import type { ModelText } from '../text/model-text.js';
import { type OpenBytes, openFileBytes } from './byte-source.js';
import { readText } from './load-text.js';
import { type LoadedLayers, requireLayers } from './loaded-layers.js';
import { type Checkpoint, openCheckpoint } from './open-checkpoint.js';
import { type BaseFormat, openWeightReader, requireBaseFormat } from './read-weights.js';
import { sizeOf } from './weight-files.js';

/** All layers of a model, and its text side. */
export interface LoadedModel extends LoadedLayers, ModelText {
  readonly embedding: RowMatrix;
  readonly finalNorm: Float32Array;
  readonly head: RowMatrix;
  readonly headWeight: LinearWeight;
  readonly parameterCount: number;
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
 * are kept compact and expanded where they are used. Embedding and head are float32, or with `stored`, and with `w8a8` of a GGUF file, as in
 * the file, where a tied pair is kept once; towers are float32.
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
  try {
    const text = await readText(checkpoint, tokenizerDirectory);
    const { spec } = checkpoint;
    const layers = await readLayers(checkpoint, allLayers(spec), { kernels, base, path, where: 'loadModel' });
    const { embedding, finalNorm, head, headWeight } = layers;
    if (!embedding || !finalNorm || !head || !headWeight)
      throw new Error('internal: not all layers were read');
    return {
      ...layers,
      ...text,
      embedding,
      finalNorm,
      head,
      headWeight,
      parameterCount: [...modelTensors(spec).values()].reduce((sum, shape) => sum + sizeOf(shape), 0),
    };
  } finally {
    await checkpoint.weights.close();
  }
}

/**
 * Loads a range of layers, as one stage of a pipeline needs, and reads no byte of other tensors; the head of a tied pair reads the
 * embedding.
 *
 * @throws ModelError as {@link loadModel}, and (`MODEL_INPUT_INVALID`) when the model has no such layers.
 */
export async function loadLayers(
  path: string,
  {
    kernels,
    start,
    end,
    base,
    openBytes = openFileBytes,
  }: Omit<LoadModelOptions, 'tokenizerDirectory'> & LayerRange,
): Promise<LoadedLayers> {
  requireBaseFormat(base, 'loadLayers');
  const checkpoint = await openCheckpoint(path, {
    openBytes,
    // Whether a head of its own equals the embedding is found by reading both.
    comparesHead: (spec) => includes({ start, end }, allLayers(spec).end - 1),
  });
  try {
    requireLayers({ start, end }, allLayers(checkpoint.spec), 'loadLayers');
    return await readLayers(checkpoint, { start, end }, { kernels, base, path, where: 'loadLayers' });
  } finally {
    await checkpoint.weights.close();
  }
}

async function readLayers(
  { spec, weights, format: fileFormat }: Checkpoint,
  range: LayerRange,
  {
    kernels,
    base = fileFormat === 'gguf' ? 'stored' : 'f32',
    path,
    where,
  }: { kernels: Kernels; base: BaseFormat | undefined; path: string; where: string },
): Promise<LoadedLayers> {
  const { text } = spec;
  const wanted = rangeTensors(spec, range);
  const reader = openWeightReader(weights, { kernels, wanted, path, where });
  const rowsFormat = base === 'stored' || (base === 'w8a8' && fileFormat === 'gguf') ? 'stored' : 'f32';
  const embeddingName = `${text.prefix}embed_tokens`;
  const headName = text.tiedHead ? embeddingName : 'lm_head';
  const [hasEmbedding, hasHead] = [range.start === 0, includes(range, allLayers(spec).end - 1)];
  const layers: DecoderLayerWeights[] = [];
  const inner = decoderLayersOf(range, spec);
  for (let layerIndex = inner.start; layerIndex < inner.end; layerIndex++)
    layers.push(await reader.decoderLayer(text, layerIndex, base));
  const embedding = hasEmbedding ? await reader.matrix(embeddingName, rowsFormat) : undefined;
  const finalNorm = hasHead ? await reader.tensor(`${text.prefix}norm.weight`) : undefined;
  const ownHead = hasHead && !(embedding && text.tiedHead);
  const head = ownHead ? await reader.matrix(headName, rowsFormat) : hasHead ? embedding : undefined;
  const headWeight = head && reader.prepare(headName, head);
  const connector = hasEmbedding && spec.vision ? await reader.linear(spec.vision.connector.name) : undefined;
  const vision = hasEmbedding && spec.vision ? await reader.vision(spec.vision) : undefined;
  const audio = hasEmbedding && spec.audio ? await reader.audio(spec.audio) : undefined;
  return {
    spec,
    kernels,
    range,
    layers,
    rotary: rotaryTable(
      text.ropeTheta,
      text.headDim,
      Math.min(text.maximumPositions, mostPositions),
      text.ropeScaling,
    ),
    ...(embedding ? { embedding } : {}),
    ...(vision && connector ? { vision, connector } : {}),
    ...(audio ? { audio } : {}),
    ...(finalNorm && head && headWeight ? { finalNorm, head, headWeight } : {}),
    dispose() {
      for (const { linears } of layers) for (const weight of Object.values(linears)) weight.dispose();
      headWeight?.dispose();
      connector?.dispose();
      for (const weight of vision ? visionLinears(vision) : []) weight.dispose();
      for (const weight of audio ? audioLinears(audio) : []) weight.dispose();
    },
  };
}

const visionLinears = ({ patches, layers, projector }: VisionWeights): LinearWeight[] => [
  patches,
  ...(projector ? [projector] : []),
  ...layers.flatMap(encoderLinears),
];

const audioLinears = ({ conv1, conv2, layers, projector }: AudioWeights): LinearWeight[] => [
  conv1,
  conv2,
  ...projector,
  ...layers.flatMap(encoderLinears),
];

const encoderLinears = ({ q, k, v, out, up, down }: EncoderLayerWeights) => [q, k, v, out, up, down];
