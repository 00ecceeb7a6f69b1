/**
 * Adapters in the format of PEFT (peft 0.21): `adapter_config.json` and `adapter_model.safetensors` in one folder.
 *
 * A task exports as an ordinary LoRA of its closure: rows of A stacked, columns of B side by side with each segment's scale folded
 * in, and lora_alpha = r, so that PEFT's own scaling is 1.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { closureOf, scaleOf } from './partition-ranks.js';
import type { Partition } from './partition.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';
import type { Segment, SegmentMatrices, Segments } from './segments.js';
import { float32Tensor, type FileTensor, toFloat32 } from './tensor.js';
import { writeWhole } from './write-whole.js';

/** One LoRA pair of a module: adds scale · B A. */
export interface AdapterModule {
  readonly rank: number;
  readonly scale: number;
  /** `[rank, in]` */
  readonly a: Float32Array;
  readonly inFeatures: number;
  /** `[out, rank]` */
  readonly b: Float32Array;
  readonly outFeatures: number;
}

export interface PeftAdapter {
  /** Run-time module name → matrices. */
  readonly modules: Readonly<Record<string, AdapterModule>>;
  /** Full weights that replace the base's (`modules_to_save`), by their name in the file without the prefix. */
  readonly replaced: Readonly<Record<string, FileTensor>>;
  readonly config: Readonly<Record<string, unknown>>;
}

const prefix = 'base_model.model.';

/** The adapter of one task with all it builds on: its closure composed into one LoRA per module. */
export function composeTask(
  partition: Partition,
  segments: Segments,
  task: string,
): Record<string, AdapterModule> {
  const closure = closureOf(partition, task);
  const modules = Object.entries(partition.layers).flatMap(([layer, { inFeatures, outFeatures }]) => {
    const parts = closure.flatMap((id) => {
      const matrices = segments[id]?.[layer];
      const entry = partition.tasks[id];
      return matrices && entry ? [{ ...matrices, scale: scaleOf(entry, matrices.rank) }] : [];
    });
    const rank = parts.reduce((sum, part) => sum + part.rank, 0);
    if (rank === 0) return [];
    const a = new Float32Array(rank * inFeatures);
    const b = new Float32Array(outFeatures * rank);
    let start = 0;
    for (const part of parts) {
      a.set(part.a, start * inFeatures);
      for (let row = 0; row < outFeatures; row++)
        for (let column = 0; column < part.rank; column++)
          b[row * rank + start + column] = part.scale * (part.b[row * part.rank + column] ?? 0);
      start += part.rank;
    }
    return [[layer, { rank, scale: 1, a, inFeatures, b, outFeatures }] as const];
  });
  return Object.fromEntries(modules);
}

/** One task's own segment, unfolded, as PEFT modules with its own scale. */
export function segmentModules(
  partition: Partition,
  task: string,
  segment: Segment,
): Record<string, AdapterModule> {
  const entry = partition.tasks[task];
  if (!entry) throw new Error(`lora/segmentModules: there is no task "${task}" in the partition`);
  return Object.fromEntries(
    Object.entries(segment).map(([layer, { rank, a, b }]) => {
      const scale = scaleOf(entry, rank);
      return [layer, { rank, scale, a, inFeatures: a.length / rank, b, outFeatures: b.length / rank }];
    }),
  );
}

/** Writes modules as a PEFT folder; `useRslora` and `alpha` keep an unfolded segment's own scaling. */
export async function writePeftFolder(
  directory: string,
  modules: Readonly<Record<string, AdapterModule>>,
  { baseModel = null, useRslora = false }: { baseModel?: string | null; useRslora?: boolean } = {},
): Promise<void> {
  const names = Object.keys(modules).sort();
  const alphaOf = (name: string) => {
    const { scale, rank } = modules[name]!;
    return cleanNumber(scale * (useRslora ? Math.sqrt(rank) : rank));
  };
  const rankOf = (name: string) => modules[name]?.rank ?? 0;
  const rank = Math.max(1, ...names.map(rankOf));
  const alpha = alphaOf(names.find((name) => rankOf(name) === rank) ?? names[0] ?? '');
  const differs = names.filter((name) => rankOf(name) !== rank || alphaOf(name) !== alpha);
  const config = {
    ...peftDefaults,
    base_model_name_or_path: baseModel,
    lora_alpha: alpha,
    r: rank,
    rank_pattern: Object.fromEntries(differs.map((name) => [name, rankOf(name)])),
    alpha_pattern: Object.fromEntries(differs.map((name) => [name, alphaOf(name)])),
    target_modules: targetsOf(names),
    use_rslora: useRslora,
  };
  const sorted = Object.fromEntries(Object.entries(config).sort(([p], [q]) => (p < q ? -1 : 1)));
  const tensors = names.flatMap((name): [string, FileTensor][] => {
    const { rank: r, a, inFeatures, b, outFeatures } = modules[name]!;
    return [
      [`${prefix}${name}.lora_A.weight`, float32Tensor([r, inFeatures], a)],
      [`${prefix}${name}.lora_B.weight`, float32Tensor([outFeatures, r], b)],
    ];
  });
  await writeSafetensors(join(directory, 'adapter_model.safetensors'), tensors, { format: 'pt' });
  await writeWhole(join(directory, 'adapter_config.json'), `${JSON.stringify(sorted, null, 2)}\n`);
}

/**
 * Reads any PEFT LoRA folder: rank and alpha patterns, rsLoRA, modules_to_save.
 *
 * @throws Error naming the file when it is missing or malformed, is no LoRA, or uses what is not supported (DoRA, LoRA bias).
 */
export async function readPeftFolder(directory: string): Promise<PeftAdapter> {
  const configPath = join(directory, 'adapter_config.json');
  const config = parseConfig(
    await readFile(configPath, 'utf8').catch((cause: unknown) => {
      throw new Error(`lora/readPeftFolder: ${directory} has no adapter_config.json; is it a PEFT folder?`, {
        cause,
      });
    }),
    configPath,
  );
  const weightsPath = join(directory, 'adapter_model.safetensors');
  const { tensors } = await readSafetensors(weightsPath);
  const problems: string[] = [];
  const modules: Record<string, AdapterModule> = {};
  const replaced: Record<string, FileTensor> = {};
  for (const [name, tensor] of tensors) {
    const plain = name.startsWith(prefix) ? name.slice(prefix.length) : name;
    const match = /^(.*)\.lora_([AB])\.weight$/.exec(plain);
    if (!match) {
      const kind = unsupportedKind(plain);
      if (kind === undefined) replaced[plain] = tensor;
      else problems.push(`tensor "${name}": ${kind} is not supported`);
      continue;
    }
    const [, module = '', side] = match;
    if (side === 'B') {
      if (!tensors.has(name.replace('.lora_B.', '.lora_A.')))
        problems.push(`"${module}": lora_B [${tensor.shape.join(', ')}] has no lora_A`);
      continue;
    }
    if (!isFloat(tensor)) {
      problems.push(`tensor "${name}" is of type ${tensor.dtype}, and must be F32, F16 or BF16`);
      continue;
    }
    const other = tensors.get(name.replace('.lora_A.', '.lora_B.'));
    const [rank = 0, inFeatures = 0] = tensor.shape;
    const [outFeatures = 0, otherRank] = other?.shape ?? [];
    if (
      !other ||
      tensor.shape.length !== 2 ||
      other.shape.length !== 2 ||
      rank !== otherRank ||
      rank === 0 ||
      !isFloat(other)
    ) {
      problems.push(
        `"${module}": lora_A [${tensor.shape.join(', ')}] and lora_B ${other ? `[${other.shape.join(', ')}]` : 'missing'} do not fit`,
      );
      continue;
    }
    modules[module] = {
      rank,
      scale: scaleFor(module, rank, config),
      a: toFloat32(tensor),
      inFeatures,
      b: toFloat32(other),
      outFeatures,
    };
  }
  if (Object.keys(modules).length === 0) problems.push('there is no LoRA tensor in it');
  if (problems.length > 0)
    throw new Error(
      `lora/readPeftFolder: ${weightsPath}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
    );
  return { modules, replaced, config: config.all };
}

/** Turns unfolded modules of a folder back into a segment. */
export function segmentOf(modules: Readonly<Record<string, AdapterModule>>): Segment {
  return Object.fromEntries(
    Object.entries(modules).map(([layer, { rank, a, b }]): [string, SegmentMatrices] => [
      layer,
      { rank, a, b },
    ]),
  );
}

/** What a tensor is that is neither of a LoRA pair nor a whole weight; undefined for a whole weight. */
function unsupportedKind(name: string): string | undefined {
  if (name.includes('lora_embedding_')) return 'LoRA on an embedding';
  if (/lora_magnitude_vector|dora/i.test(name)) return 'DoRA';
  if (/lora_[AB]\.bias$/.test(name)) return 'a bias of LoRA';
  if (/lora_[AB]\.\w+\.weight$/.test(name))
    return 'an adapter with a name in its tensors (as of a training checkpoint)';
  return name.includes('lora_') ? 'a tensor of this kind' : undefined;
}

const isFloat = ({ dtype }: FileTensor) => dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';

interface LoraConfig {
  readonly alpha: number;
  readonly alphaPattern: readonly { readonly pattern: RegExp; readonly alpha: number }[];
  readonly rslora: boolean;
  readonly all: Readonly<Record<string, unknown>>;
}

function parseConfig(text: string, path: string): LoraConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`lora/readPeftFolder: ${path} is not JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`lora/readPeftFolder: ${path} is not a JSON object`);
  const all = value as Record<string, unknown>;
  const patterns = alphaPatterns(all['alpha_pattern']);
  const problems = [
    ...(all['peft_type'] === 'LORA'
      ? []
      : [`peft_type is ${JSON.stringify(all['peft_type'])}, only "LORA" is supported`]),
    ...unsupportedKeys
      .filter((key) => isSet(all[key]))
      .map((key) => `${key} is ${JSON.stringify(all[key])}, which is not supported`),
    ...(all['use_dora'] ? ['use_dora is true; DoRA is not supported'] : []),
    ...(all['fan_in_fan_out'] ? ['fan_in_fan_out is true; it is not supported'] : []),
    ...(all['bias'] === undefined || all['bias'] === 'none' ? [] : ['bias must be "none"']),
    ...(Number.isFinite(all['lora_alpha']) ? [] : ['lora_alpha is no number']),
    ...patterns.problems,
  ];
  if (problems.length > 0)
    throw new Error(`lora/readPeftFolder: ${path}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  return {
    alpha: all['lora_alpha'] as number,
    alphaPattern: patterns.read,
    rslora: all['use_rslora'] === true,
    all,
  };
}

/** Settings that change what an adapter computes, and that nothing here does. */
const unsupportedKeys = [
  'lora_bias',
  'use_qalora',
  'layer_replication',
  'trainable_token_indices',
  'target_parameters',
];
const isSet = (value: unknown) =>
  value !== undefined && value !== null && value !== false && !(Array.isArray(value) && value.length === 0);

/**
 * PEFT matches the keys of its patterns against the end of the module path: `^(.*\.)?KEY$`.
 *
 * A key is an expression from a file: one whose matching could take long (a repeated group, many repetitions) is refused.
 */
function alphaPatterns(value: unknown): { read: LoraConfig['alphaPattern']; problems: readonly string[] } {
  if (value === undefined || value === null) return { read: [], problems: [] };
  if (typeof value !== 'object' || Array.isArray(value))
    return { read: [], problems: ['alpha_pattern is not an object'] };
  const read: { pattern: RegExp; alpha: number }[] = [];
  const problems: string[] = [];
  for (const [key, alpha] of Object.entries(value)) {
    const shown = JSON.stringify(key.slice(0, 80));
    const repetitions = key.match(/[*+{]/g)?.length ?? 0;
    if (typeof alpha !== 'number' || !Number.isFinite(alpha))
      problems.push(`alpha_pattern ${shown} is no number`);
    else if (key.length > 256 || /\)[*+{?]/.test(key) || repetitions > 3)
      problems.push(`alpha_pattern ${shown} is too intricate an expression; name the modules instead`);
    else
      try {
        read.push({ pattern: new RegExp(`^(?:.*\\.)?(?:${key})$`), alpha });
      } catch {
        problems.push(`alpha_pattern ${shown} is no regular expression`);
      }
  }
  return { read, problems };
}

function scaleFor(module: string, rank: number, { alpha, alphaPattern, rslora }: LoraConfig): number {
  const own = alphaPattern.find(({ pattern }) => pattern.test(module))?.alpha ?? alpha;
  return rslora ? own / Math.sqrt(rank) : own / rank;
}

/** Suffixes where they select just our modules of a text model, else one expression that matches the full names. */
function targetsOf(names: readonly string[]): string[] | string {
  const plain = names.every((name) => /^model\.layers\.\d+\.(self_attn|mlp)\.\w+$/.test(name));
  const suffixes = [...new Set(names.map((name) => name.slice(name.lastIndexOf('.') + 1)))].sort();
  const layers = new Set(names.map((name) => name.split('.')[2]));
  if (plain && names.length === suffixes.length * layers.size && layers.has('0') && contiguous(layers))
    return suffixes;
  return names.map((name) => name.replaceAll('.', '\\.')).join('|');
}

const contiguous = (layers: ReadonlySet<string | undefined>) =>
  Array.from({ length: layers.size }, (_, i) => layers.has(String(i))).every(Boolean);

/** 2·8 and alpha/8·8 must not differ in the last digit. */
const cleanNumber = (value: number) => Number(value.toPrecision(12));

const peftDefaults = {
  auto_mapping: null,
  bias: 'none',
  exclude_modules: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  layers_pattern: null,
  layers_to_transform: null,
  lora_dropout: 0,
  modules_to_save: null,
  peft_type: 'LORA',
  revision: null,
  task_type: 'CAUSAL_LM',
  use_dora: false,
};
