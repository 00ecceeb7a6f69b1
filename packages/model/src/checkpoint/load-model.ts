/** Loads a checkpoint, a directory in the Hugging Face layout or a GGUF file, for given kernels. */
import {
  compressWeight,
  type CompressFormat,
  type Kernels,
  type LinearWeight,
  type RotaryTable,
} from '@contextlora/kernels';

import { type OpenBytes, openFileBytes } from './byte-source.js';
import { type DecoderLayerWeights, type LayerLinear, layerLinears } from '../pass/decoder-layer.js';
import type { RowMatrix } from '../pass/matrix-rows.js';
import { listProblems, ModelError } from '../model-error.js';
import type { ModelSpec } from '../spec/model-spec.js';
import { layerTensors, modelTensors, type TensorShapes } from '../spec/model-tensors.js';
import { openCheckpoint } from './open-checkpoint.js';
import { rotaryTable } from '../pass/rotary-table.js';
import { readTokenizer, type TextTokenizer } from '../text/tokenizer.js';
import type { TextSpec } from '../spec/text-spec.js';
import type { VisionSpec } from '../spec/vision-spec.js';
import type { VisionLayerWeights, VisionWeights } from '../pass/vision-tower.js';
import { sizeOf, type WeightFiles } from './weight-files.js';

export interface LoadedModel {
  readonly spec: ModelSpec;
  readonly kernels: Kernels;
  readonly tokenizer: TextTokenizer;
  /** Every id that ends an answer: the tokenizer's end token and those that the checkpoint names. */
  readonly endIds: readonly number[];
  /** `[vocabulary, hidden]`, outside any heap; looked up with `matrixRows`. */
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
  dispose(): void;
}

/**
 * What the decoder layers' frozen weights are kept as; `stored` is as in the file, where kernels can keep that, else float32, and then
 * holds for the embedding and the output matrix too.
 */
export type BaseFormat = 'f32' | 'stored' | CompressFormat;

export interface LoadModelOptions {
  readonly kernels: Kernels;
  /** Where tokenizer.json lies, if not beside the weights. */
  readonly tokenizerDirectory?: string;
  /** `stored` by default for a GGUF file, `f32` for a directory. */
  readonly base?: BaseFormat;
  /** How files are read; a test can count what is. */
  readonly openBytes?: OpenBytes;
}

/** Longer contexts would cost memory for angles that training on small devices has no room to use. */
const mostPositions = 8192;

/**
 * Loads a model from a directory in the Hugging Face layout or from a GGUF file. With a compact `base` the weights of the decoder
 * layers are kept so and expanded where they are used. Embedding and head are float32, or with `stored` as in the file, where a tied
 * one is kept once; the vision tower is float32.
 *
 * @throws ModelError when a file is missing or damaged, the architecture is not supported, or tensors are missing or misshapen (all
 * listed at once).
 */
export async function loadModel(
  path: string,
  { kernels, tokenizerDirectory, base, openBytes = openFileBytes }: LoadModelOptions,
): Promise<LoadedModel> {
  const checkpoint = await openCheckpoint(path, { openBytes });
  const { spec, weights: files } = checkpoint;
  try {
    const tokenizer = await (tokenizerDirectory === undefined
      ? checkpoint.tokenizer()
      : readTokenizer(tokenizerDirectory));
    const wanted = modelTensors(spec);
    requireTensors(files, wanted, path);
    const { text } = spec;
    const { prefix } = text;
    const load = openLoader(files, { kernels, wanted });
    const layers: DecoderLayerWeights[] = [];
    const format = base ?? (checkpoint.format === 'gguf' ? 'stored' : 'f32');
    for (let depth = 0; depth < text.layerCount; depth++) layers.push(await load.layer(text, depth, format));
    const rowsFormat = format === 'stored' ? 'stored' : 'f32';
    const embeddingName = `${prefix}embed_tokens`;
    const embedding = await load.matrix(embeddingName, rowsFormat);
    const finalNorm = await files.read(`${prefix}norm.weight`);
    const head = text.tiedHead ? embedding : await load.matrix('lm_head', rowsFormat);
    const headWeight = load.prepare(text.tiedHead ? embeddingName : 'lm_head', head);
    const connector = spec.vision && (await load.linear(spec.vision.connector.name));
    const vision = spec.vision && (await loadVision(spec.vision, { read: (name) => files.read(name), load }));
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
  /** Of layers `start` to `end`, in order. */
  readonly layers: readonly DecoderLayerWeights[];
  dispose(): void;
}

/** Loads decoder layers `[start, end)` alone, reading no other tensor's bytes: what one stage of a pipeline needs. */
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
  const { spec, weights: files, format } = await openCheckpoint(path, { openBytes });
  try {
    const { layerCount } = spec.text;
    if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end > layerCount || start >= end)
      throw new ModelError(
        'loadLayers',
        `layers ${start} to ${end} of ${path} do not exist; it has layers 0 to ${layerCount}`,
      );
    const wanted = layerTensors(spec, { start, end });
    requireTensors(files, wanted, path);
    const load = openLoader(files, { kernels, wanted });
    const layers: DecoderLayerWeights[] = [];
    for (let depth = start; depth < end; depth++)
      layers.push(await load.layer(spec.text, depth, base ?? (format === 'gguf' ? 'stored' : 'f32')));
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

const disposeLayers = (layers: readonly DecoderLayerWeights[]) => {
  for (const { linears } of layers) for (const weight of Object.values(linears)) weight.dispose();
};

type Loader = ReturnType<typeof openLoader>;

/** Reads weights whose presence and shape have been checked. */
function openLoader(files: WeightFiles, { kernels, wanted }: { kernels: Kernels; wanted: TensorShapes }) {
  // What is compressed afterwards is read into one buffer, so that loading needs little beside what it keeps.
  let scratch = new Float32Array();
  const shapeOf = (name: string): readonly [number, number] => {
    const [out = 0, ...inner] = wanted.get(`${name}.weight`) ?? [];
    return [out, sizeOf(inner)];
  };
  const matrix = async (name: string, format: BaseFormat): Promise<RowMatrix> => {
    if (format === 'f32') return files.read(`${name}.weight`);
    if (format === 'stored') return files.readStored(`${name}.weight`);
    const [out, inp] = shapeOf(name);
    if (scratch.length < out * inp) scratch = new Float32Array(out * inp);
    return compressWeight(
      await files.read(`${name}.weight`, scratch.subarray(0, out * inp)),
      out,
      inp,
      format,
    );
  };
  const prepare = (name: string, weight: RowMatrix, bias?: Float32Array): LinearWeight => {
    try {
      return kernels.prepareLinear(weight, ...shapeOf(name), bias);
    } catch (cause) {
      throw new ModelError(
        'loadModel',
        `${files.fileOf(`${name}.weight`)}: tensor "${name}.weight": ${(cause as Error).message}`,
        { cause },
      );
    }
  };
  const linear = async (name: string, format: BaseFormat = 'f32') =>
    prepare(
      name,
      await matrix(name, format),
      wanted.has(`${name}.bias`) ? await files.read(`${name}.bias`) : undefined,
    );
  return {
    matrix,
    prepare,
    linear,
    async layer(
      { prefix, headNorms }: TextSpec,
      depth: number,
      format: BaseFormat,
    ): Promise<DecoderLayerWeights> {
      const at = `${prefix}layers.${depth}.`;
      const linears = {} as Record<LayerLinear, LinearWeight>;
      for (const name of layerLinears) linears[name] = await linear(at + name, format);
      return {
        linears,
        inputNorm: await files.read(`${at}input_layernorm.weight`),
        mlpNorm: await files.read(`${at}post_attention_layernorm.weight`),
        ...(headNorms
          ? {
              queryNorm: await files.read(`${at}self_attn.q_norm.weight`),
              keyNorm: await files.read(`${at}self_attn.k_norm.weight`),
            }
          : {}),
      };
    },
  };
}

async function loadVision(
  { layerCount, tower, prefix, projector }: VisionSpec,
  { read, load }: { read: (name: string) => Promise<Float32Array>; load: Loader },
): Promise<VisionWeights> {
  const norm = async (name: string) => ({
    gain: await read(`${prefix}${name}.weight`),
    bias: await read(`${prefix}${name}.bias`),
  });
  const layers: VisionLayerWeights[] = [];
  for (let depth = 0; depth < layerCount; depth++) {
    const at = `encoder.layers.${depth}.`;
    const linear = (name: string) => load.linear(`${prefix}${at}${name}`);
    layers.push({
      q: await linear('self_attn.q_proj'),
      k: await linear('self_attn.k_proj'),
      v: await linear('self_attn.v_proj'),
      out: await linear('self_attn.out_proj'),
      up: await linear('mlp.fc1'),
      down: await linear('mlp.fc2'),
      norm1: await norm(`${at}layer_norm1`),
      norm2: await norm(`${at}layer_norm2`),
    });
  }
  return {
    patches: await load.linear(`${prefix}embeddings.patch_embedding`),
    positions: await read(`${prefix}embeddings.position_embedding.weight`),
    layers,
    ...(tower === 'clip'
      ? {
          classToken: await read(`${prefix}embeddings.class_embedding`),
          // Spelt so in the checkpoints.
          firstNorm: await norm('pre_layrnorm'),
        }
      : { lastNorm: await norm('post_layernorm') }),
    ...(projector ? { projector: await load.linear(projector.name) } : {}),
  };
}

const visionLinears = ({ patches, layers, projector }: VisionWeights): LinearWeight[] => [
  patches,
  ...(projector ? [projector] : []),
  ...layers.flatMap(({ q, k, v, out, up, down }) => [q, k, v, out, up, down]),
];

/** What the config asks for, checked before any of it is read. */
function requireTensors(files: WeightFiles, wanted: TensorShapes, path: string): void {
  const problems = [...wanted].flatMap(([name, shape]) => {
    const found = files.shapeOf(name);
    if (!found) return [`"${name}" [${shape.join(', ')}] is missing`];
    if (found.join() === shape.join()) return [];
    return [`"${name}" is [${found.join(', ')}], the config asks for [${shape.join(', ')}]`];
  });
  if (problems.length > 0)
    throw new ModelError(
      'loadModel',
      listProblems(`the tensors of ${path} are not those that its config asks for:`, problems),
    );
}
