/** From the tensors of a checkpoint to the weights that kernels compute with. */
import {
  compressWeight,
  type CompressFormat,
  type IntegerWeight,
  integerWeight,
  type Kernels,
  KernelsError,
  type LinearWeight,
} from '@contextlora/kernels';

import { listProblems, ModelError } from '../model-error.js';
import { type DecoderLayerWeights, type LayerLinear, layerLinears } from '../pass/decoder-layer.js';
import type { RowMatrix } from '../pass/matrix-rows.js';
import type { AudioWeights } from '../pass/audio-tower.js';
import type { EncoderLayerWeights } from '../pass/encoder-layer.js';
import type { VisionWeights } from '../pass/vision-tower.js';
import type { AudioSpec } from '../spec/audio-spec.js';
import type { TensorShapes } from '../spec/model-tensors.js';
import type { TextSpec } from '../spec/text-spec.js';
import type { VisionSpec } from '../spec/vision-spec.js';
import { requireFinite } from './finite-weights.js';
import { sizeOf, type WeightFiles } from './weight-files.js';

/**
 * The format in which the decoder layers' frozen weights are kept. `stored` keeps the file's format, or float32 if kernels cannot keep
 * it, and then also applies to the embedding and the output matrix. All of these are multiplied in float32; `w8a8` multiplies in integers,
 * with inputs and gradients rounded to bytes too.
 */
export type BaseFormat = 'f32' | 'stored' | CompressFormat | 'w8a8';

const baseFormats: readonly BaseFormat[] = [
  ...(['f32', 'stored', 'f16', 'int8', 'q8_0', 'q4_0', 'q4_1', 'w8a8'] as const),
];

/** @throws ModelError (`MODEL_INPUT_INVALID`) for a format that there is not, with those that there are. */
export function requireBaseFormat(base: BaseFormat | undefined, where: string): void {
  if (base !== undefined && !baseFormats.includes(base))
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      where,
      `base must be one of ${baseFormats.join(', ')}, got ${JSON.stringify(base)}`,
    );
}

interface WeightReader {
  /** A tensor in float32. */
  tensor(name: string): Promise<Float32Array>;
  /** The matrix `name.weight`. */
  matrix(name: string, format: Exclude<BaseFormat, 'w8a8'>): Promise<RowMatrix>;
  /** A matrix that has been read, prepared for products. */
  prepare(name: string, weight: RowMatrix | IntegerWeight, bias?: Float32Array): LinearWeight;
  /** The matrix `name.weight` with its bias, if it has one, prepared for products. */
  linear(name: string, format?: BaseFormat): Promise<LinearWeight>;
  decoderLayer(text: TextSpec, layerIndex: number, format: BaseFormat): Promise<DecoderLayerWeights>;
  vision(spec: VisionSpec): Promise<VisionWeights>;
  audio(spec: AudioSpec): Promise<AudioWeights>;
}

/**
 * Checks that the files have all `wanted` tensors in the right shapes, and returns a reader of them.
 *
 * @throws ModelError naming `where` and listing every tensor that is missing or misshapen or has a type that is not read; what is read
 * throws it for numbers that are not finite.
 */
export function openWeightReader(
  files: WeightFiles,
  { kernels, wanted, path, where }: { kernels: Kernels; wanted: TensorShapes; path: string; where: string },
): WeightReader {
  requireTensors(files, { wanted, path, where });
  // Tensors that will be compressed are read into one shared buffer, so that loading needs little more memory than it keeps.
  let scratch = new Float32Array();
  const shapeOf = (name: string): readonly [number, number] => {
    const [out = 0, ...inner] = wanted.get(`${name}.weight`) ?? [];
    return [out, sizeOf(inner)];
  };
  const finite = <T extends RowMatrix>(name: string, weight: T): T => {
    requireFinite(weight, { name, file: files.fileOf(name), where });
    return weight;
  };
  const read = async (name: string, target?: Float32Array) => finite(name, await files.read(name, target));
  const readToScratch = async (name: string) => {
    const [out, inp] = shapeOf(name);
    if (scratch.length < out * inp) scratch = new Float32Array(out * inp);
    return read(`${name}.weight`, scratch.subarray(0, out * inp));
  };
  const matrix: WeightReader['matrix'] = async (name, format) => {
    if (format === 'f32') return read(`${name}.weight`);
    if (format === 'stored') return finite(`${name}.weight`, await files.readStored(`${name}.weight`));
    return compressWeight(await readToScratch(name), ...shapeOf(name), format);
  };
  const prepare = (name: string, weight: RowMatrix | IntegerWeight, bias?: Float32Array): LinearWeight => {
    try {
      return kernels.prepareLinear(weight, ...shapeOf(name), bias);
    } catch (cause) {
      if (!(cause instanceof KernelsError) || cause.code === 'KERNELS_HEAP_FULL') throw cause;
      throw new ModelError(
        'MODEL_FILE_DAMAGED',
        where,
        `${files.fileOf(`${name}.weight`)}: tensor "${name}.weight": ${cause.message}`,
        { cause },
      );
    }
  };
  const linear = async (name: string, format: BaseFormat = 'f32') =>
    prepare(
      name,
      format === 'w8a8'
        ? integerWeight(await readToScratch(name), ...shapeOf(name))
        : await matrix(name, format),
      wanted.has(`${name}.bias`) ? await read(`${name}.bias`) : undefined,
    );
  return {
    tensor: read,
    matrix,
    prepare,
    linear,
    decoderLayer: (text, layerIndex, format) => readDecoderLayer(text, layerIndex, { read, linear, format }),
    vision: (spec) => readVision(spec, { read, linear }),
    audio: (spec) => readAudio(spec, { read, linear, prepare }),
  };
}

/** Checks what the config asks for before any of it is read. */
function requireTensors(
  files: WeightFiles,
  { wanted, path, where }: { wanted: TensorShapes; path: string; where: string },
): void {
  const missing: string[] = [];
  const unreadable: string[] = [];
  const problems = [...wanted].flatMap(([name, shape]) => {
    const found = files.shapeOf(name);
    if (!found) {
      missing.push(name);
      return [`"${name}" [${shape.join(', ')}] is missing`];
    }
    const type = files.unreadableType(name);
    if (type !== undefined) {
      unreadable.push(name);
      return [`"${name}" is of type ${type}, and weights are read in F32, F16 and BF16`];
    }
    if (found.join() === shape.join()) return [];
    return [`"${name}" is [${found.join(', ')}], the config asks for [${shape.join(', ')}]`];
  });
  if (problems.length === 0) return;
  throw new ModelError(
    problems.length === unreadable.length ? 'MODEL_UNSUPPORTED' : 'MODEL_FILE_DAMAGED',
    where,
    listProblems(
      `the tensors of ${path} are not those that its config asks for${hintOf(missing, files.storedNames)}:`,
      problems,
    ),
  );
}

/** Says once where missing tensors may be: under other names, or not in these files at all. */
function hintOf(missing: readonly string[], stored: readonly string[]): string {
  const [name] = missing;
  if (name === undefined) return '';
  // The name from the layers on, or its last two parts, is what other writers keep.
  const end = /layers\.\d+\..*$/.exec(name)?.[0] ?? name.split('.').slice(-2).join('.');
  const other = stored.find((candidate) => candidate.endsWith(`.${end}`) || candidate === end);
  if (other !== undefined)
    return ` (they have other names: "${other}" for "${name}"; names that transformers gives are read, also without "model.")`;
  const own = stored.slice(0, 3).map((candidate) => `"${candidate}"`);
  return own.length === 0 ? '' : ` (the files have ${own.join(', ')}${stored.length > 3 ? ', …' : ''})`;
}

interface Read {
  readonly read: (name: string) => Promise<Float32Array>;
  readonly linear: WeightReader['linear'];
}

async function readDecoderLayer(
  { prefix, headNorms }: TextSpec,
  layerIndex: number,
  { read, linear, format }: Read & { format: BaseFormat },
): Promise<DecoderLayerWeights> {
  const at = `${prefix}layers.${layerIndex}.`;
  const linears = {} as Record<LayerLinear, LinearWeight>;
  for (const name of layerLinears) linears[name] = await linear(at + name, format);
  return {
    linears,
    inputNorm: await read(`${at}input_layernorm.weight`),
    mlpNorm: await read(`${at}post_attention_layernorm.weight`),
    ...(headNorms
      ? {
          queryNorm: await read(`${at}self_attn.q_norm.weight`),
          keyNorm: await read(`${at}self_attn.k_norm.weight`),
        }
      : {}),
  };
}

/** The linears and norms of the layers of a tower, by the names that its layers give them. */
async function readEncoderLayers(
  {
    at,
    layerCount,
    mlp,
    norms,
  }: { at: string; layerCount: number; mlp: string; norms: readonly [string, string] },
  { read, linear }: Read,
): Promise<EncoderLayerWeights[]> {
  const layers: EncoderLayerWeights[] = [];
  for (let layerIndex = 0; layerIndex < layerCount; layerIndex++) {
    const inner = (name: string) => linear(`${at}layers.${layerIndex}.${name}`);
    const norm = (name: string) => readNorm(`${at}layers.${layerIndex}.${name}`, read);
    layers.push({
      q: await inner('self_attn.q_proj'),
      k: await inner('self_attn.k_proj'),
      v: await inner('self_attn.v_proj'),
      out: await inner('self_attn.out_proj'),
      up: await inner(`${mlp}fc1`),
      down: await inner(`${mlp}fc2`),
      norm1: await norm(norms[0]),
      norm2: await norm(norms[1]),
    });
  }
  return layers;
}

const readNorm = async (name: string, read: Read['read']) => ({
  gain: await read(`${name}.weight`),
  bias: await read(`${name}.bias`),
});

async function readVision(
  { layerCount, tower, prefix, projector }: VisionSpec,
  { read, linear }: Read,
): Promise<VisionWeights> {
  const norm = (name: string) => readNorm(prefix + name, read);
  const names = { at: `${prefix}encoder.`, mlp: 'mlp.', norms: ['layer_norm1', 'layer_norm2'] } as const;
  return {
    patches: await linear(`${prefix}embeddings.patch_embedding`),
    positions: await read(`${prefix}embeddings.position_embedding.weight`),
    layers: await readEncoderLayers({ ...names, layerCount }, { read, linear }),
    ...(tower === 'clip'
      ? {
          classToken: await read(`${prefix}embeddings.class_embedding`),
          // The misspelling is that of the checkpoints.
          firstNorm: await norm('pre_layrnorm'),
        }
      : { lastNorm: await norm('post_layernorm') }),
    ...(projector ? { projector: await linear(projector.name) } : {}),
  };
}

async function readAudio(
  { layerCount, prefix, projector, melBins, hiddenSize }: AudioSpec,
  { read, linear, prepare }: Read & Pick<WeightReader, 'prepare'>,
): Promise<AudioWeights> {
  const convolution = async (name: string, inFeatures: number) => {
    const values = await read(`${name}.weight`);
    // From `[out, in, 3]` to `[out, 3, in]`.
    const sideBySide = values.map((_, i) => {
      const [row, within] = [Math.floor(i / (3 * inFeatures)), i % (3 * inFeatures)];
      const [place, column] = [Math.floor(within / inFeatures), within % inFeatures];
      return values[(row * inFeatures + column) * 3 + place]!;
    });
    return prepare(name, sideBySide, await read(`${name}.bias`));
  };
  const names = { at: prefix, mlp: '', norms: ['self_attn_layer_norm', 'final_layer_norm'] } as const;
  const linears: LinearWeight[] = [];
  for (const { name } of projector) linears.push(await linear(name));
  return {
    conv1: await convolution(`${prefix}conv1`, melBins),
    conv2: await convolution(`${prefix}conv2`, hiddenSize),
    positions: await read(`${prefix}embed_positions.weight`),
    layers: await readEncoderLayers({ ...names, layerCount }, { read, linear }),
    lastNorm: await readNorm(`${prefix}layer_norm`, read),
    projector: linears,
  };
}
