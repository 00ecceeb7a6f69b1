/** Loads a model directory in the Hugging Face layout: config.json, safetensors, tokenizer. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import {
  compressWeight,
  type CompactFormat,
  type Kernels,
  type LinearWeight,
  type RotaryTable,
} from '@contextlora/kernels';

import { type DecoderLayerWeights, type LayerLinear, layerLinears } from './decoder-layer.js';
import { ModelError } from './model-error.js';
import { connectorName, linearsOf, type ModelSpec, parseModelSpec, type VisionSpec } from './model-spec.js';
import { readTokenizer, type TextTokenizer } from './text-tokenizer.js';
import type { VisionLayerWeights, VisionWeights } from './vision-tower.js';
import { openWeightFiles, type WeightFiles } from './weights-files.js';

export interface LoadedModel {
  readonly spec: ModelSpec;
  readonly kernels: Kernels;
  readonly tokenizer: TextTokenizer;
  /** `[vocabulary, hidden]`, outside any heap. */
  readonly embedding: Float32Array;
  readonly layers: readonly DecoderLayerWeights[];
  readonly finalNorm: Float32Array;
  /** The output matrix `[vocabulary, hidden]`; the embedding itself when tied. */
  readonly head: Float32Array;
  readonly headWeight: LinearWeight;
  readonly rotary: RotaryTable;
  readonly vision?: VisionWeights;
  readonly connector?: LinearWeight;
  readonly parameterCount: number;
  dispose(): void;
}

/** Reads a directory's config. */
export async function readModelSpec(directory: string): Promise<ModelSpec> {
  const path = join(directory, 'config.json');
  if (!(await stat(directory).catch(() => undefined))?.isDirectory())
    throw new ModelError(
      'loadModel',
      `${directory} is not a directory; if it is a model's name, "huggingface-cli download ${directory} --local-dir <directory>" fetches it`,
    );
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ModelError('loadModel', `model directory ${directory} has no config.json`, { cause });
  });
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    throw new ModelError('loadModel', `${path} is not JSON`, { cause });
  }
  return parseModelSpec((config ?? {}) as Record<string, unknown>, path);
}

/** What the decoder layers' frozen weights are kept as. */
export type BaseFormat = 'f32' | Exclude<CompactFormat, 'q4_K'>;

/**
 * Loads a model for the given kernels. With a compact `base` the weights of the decoder layers are kept so and expanded where they are
 * used; embedding, head and vision tower stay float32.
 *
 * @throws ModelError when a file is missing or damaged, the architecture is not supported, or tensors are missing or misshapen (all
 * listed at once).
 */
export async function loadModel(
  directory: string,
  {
    kernels,
    tokenizerDirectory = directory,
    base: format = 'f32',
  }: { kernels: Kernels; tokenizerDirectory?: string; base?: BaseFormat },
): Promise<LoadedModel> {
  const spec = await readModelSpec(directory);
  const tokenizer = await readTokenizer(tokenizerDirectory);
  const files = await openWeightFiles(directory);
  requireTensors(files, spec, directory);
  const { text } = spec;
  const { prefix, hiddenSize, vocabularySize } = text;
  let parameterCount = 0;
  const read = async (name: string, ...shape: number[]) => {
    const values = await files.read(name, shape);
    parameterCount += values.length;
    return values;
  };
  const linear = async (name: string, [out, inp]: readonly [number, number], bias = false) =>
    kernels.prepareLinear(
      await read(`${name}.weight`, out, inp),
      out,
      inp,
      bias ? await read(`${name}.bias`, out) : undefined,
    );

  const shapes = new Map(linearsOf(spec).map((shape) => [shape.name, shape]));
  const layers: DecoderLayerWeights[] = [];
  for (let depth = 0; depth < text.layerCount; depth++) {
    const base = `${prefix}layers.${depth}.`;
    const linears = {} as Record<LayerLinear, LinearWeight>;
    for (const name of layerLinears) {
      const { inFeatures = 0, outFeatures = 0 } = shapes.get(base + name) ?? {};
      const bias = text.attentionBias && /[qkv]_proj$/.test(name);
      const values = await read(`${base}${name}.weight`, outFeatures, inFeatures);
      linears[name] = kernels.prepareLinear(
        format === 'f32' ? values : compressWeight(values, outFeatures, inFeatures, format),
        outFeatures,
        inFeatures,
        bias ? await read(`${base}${name}.bias`, outFeatures) : undefined,
      );
    }
    layers.push({
      linears,
      inputNorm: await read(`${base}input_layernorm.weight`, hiddenSize),
      mlpNorm: await read(`${base}post_attention_layernorm.weight`, hiddenSize),
    });
  }
  const embedding = await read(`${prefix}embed_tokens.weight`, vocabularySize, hiddenSize);
  const finalNorm = await read(`${prefix}norm.weight`, hiddenSize);
  const untied = !text.tiedHead && files.has('lm_head.weight');
  const head = untied ? await read('lm_head.weight', vocabularySize, hiddenSize) : embedding;
  const headWeight = kernels.prepareLinear(head, vocabularySize, hiddenSize);
  const wide = spec.vision ? spec.vision.hiddenSize * spec.vision.scaleFactor ** 2 : 0;
  const connector = spec.vision && (await linear(connectorName, [hiddenSize, wide]));
  const vision = spec.vision && (await loadVision(spec.vision, { read, linear, kernels }));
  return {
    spec,
    kernels,
    tokenizer,
    embedding,
    layers,
    finalNorm,
    head,
    headWeight,
    rotary: rotaryTable(text.ropeTheta, text.headDim, Math.min(text.maximumPositions, 8192)),
    ...(vision && connector ? { vision, connector } : {}),
    parameterCount,
    dispose() {
      for (const { linears } of layers) for (const weight of Object.values(linears)) weight.dispose();
      headWeight.dispose();
      connector?.dispose();
      for (const weight of vision ? visionLinears(vision) : []) weight.dispose();
    },
  };
}

/** cos and sin of t / theta^(2i/d) for every position t and pair i. */
export function rotaryTable(theta: number, headDim: number, time: number): RotaryTable {
  const halfDim = headDim / 2;
  // The reference computes frequencies in float32; float64 here would differ in the last digits at high positions.
  const frequency = Float32Array.from(
    { length: halfDim },
    (_, i) => 1 / Math.fround(theta ** ((2 * i) / headDim)),
  );
  const angle = (i: number) => Math.fround(Math.floor(i / halfDim) * (frequency[i % halfDim] ?? 0));
  const length = time * halfDim;
  return {
    time,
    halfDim,
    cos: Float32Array.from({ length }, (_, i) => Math.cos(angle(i))),
    sin: Float32Array.from({ length }, (_, i) => Math.sin(angle(i))),
  };
}

type Read = (name: string, ...shape: number[]) => Promise<Float32Array>;
type ReadLinear = (name: string, shape: readonly [number, number], bias?: boolean) => Promise<LinearWeight>;

async function loadVision(
  spec: VisionSpec,
  { read, linear, kernels }: { read: Read; linear: ReadLinear; kernels: Kernels },
): Promise<VisionWeights> {
  const { hiddenSize: d, mlpSize: m, patchSizePixels: p } = spec;
  const base = 'model.vision_model.';
  const norm = async (name: string) => ({
    gain: await read(`${base}${name}.weight`, d),
    bias: await read(`${base}${name}.bias`, d),
  });
  const layers: VisionLayerWeights[] = [];
  for (let depth = 0; depth < spec.layerCount; depth++) {
    const at = `encoder.layers.${depth}.`;
    const square = (name: string) => linear(`${base}${at}self_attn.${name}`, [d, d], true);
    layers.push({
      q: await square('q_proj'),
      k: await square('k_proj'),
      v: await square('v_proj'),
      out: await square('out_proj'),
      up: await linear(`${base}${at}mlp.fc1`, [m, d], true),
      down: await linear(`${base}${at}mlp.fc2`, [d, m], true),
      norm1: await norm(`${at}layer_norm1`),
      norm2: await norm(`${at}layer_norm2`),
    });
  }
  const side = spec.imageSizePixels / p;
  const kernel = await read(`${base}embeddings.patch_embedding.weight`, d, 3, p, p);
  const bias = await read(`${base}embeddings.patch_embedding.bias`, d);
  const positions = await read(`${base}embeddings.position_embedding.weight`, side * side, d);
  return {
    patches: kernels.prepareLinear(kernel, d, 3 * p * p, bias),
    positions,
    layers,
    postNorm: await norm('post_layernorm'),
  };
}

const visionLinears = ({ patches, layers }: VisionWeights): LinearWeight[] => [
  patches,
  ...layers.flatMap(({ q, k, v, out, up, down }) => [q, k, v, out, up, down]),
];

/** Every tensor the spec asks for, checked before any is read. */
function requireTensors(files: WeightFiles, spec: ModelSpec, directory: string): void {
  const { text } = spec;
  const wanted = new Map<string, readonly number[]>([
    [`${text.prefix}embed_tokens.weight`, [text.vocabularySize, text.hiddenSize]],
    [`${text.prefix}norm.weight`, [text.hiddenSize]],
    ...linearsOf(spec).map(
      ({ name, outFeatures, inFeatures }) => [`${name}.weight`, [outFeatures, inFeatures]] as const,
    ),
  ]);
  const problems = [...wanted].flatMap(([name, shape]) => {
    const found = files.shapeOf(name);
    if (!found) return [`"${name}" [${shape.join(', ')}] is missing`];
    if (found.join() === shape.join()) return [];
    return [`"${name}" is [${found.join(', ')}], the config asks for [${shape.join(', ')}]`];
  });
  if (problems.length === 0) return;
  const shown = problems.slice(0, 20).map((problem) => `  ${problem}`);
  const rest = problems.length > 20 ? [`  … and ${problems.length - 20} more`] : [];
  throw new ModelError(
    'loadModel',
    [`the tensors of ${directory} are not those of its config.json:`, ...shown, ...rest].join('\n'),
  );
}
