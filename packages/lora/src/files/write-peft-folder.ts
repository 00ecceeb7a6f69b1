/** Writes adapters as PEFT (0.21) keeps them: `adapter_config.json` and `adapter_model.safetensors` in one folder. */
import { join } from 'node:path';

import { LoraError } from '../lora-error.js';
import { encodeSafetensors } from '../safetensors/safetensors.js';
import { float32Tensor, type FileTensor } from '../safetensors/tensor.js';
import type { AdapterModule, AdapterModules } from '../segments/adapter-module.js';
import { digestOf } from './file-digests.js';
import type { FolderDigests } from './folder-digests.js';
import { tensorPrefix } from './peft-config.js';
import { writeWhole } from './write-whole.js';

/**
 * Writes modules as a PEFT folder; `useRslora` states their scales as alpha / sqrt(rank) instead of alpha / rank. Returns the
 * digests of its files, for `writeDigests`.
 *
 * @throws LoraError (`LORA_PARTITION_INVALID`) when there is no module, or a number in one is not finite.
 */
export async function writePeftFolder(
  directory: string,
  modules: AdapterModules,
  { baseModel = null, useRslora = false }: { baseModel?: string | null; useRslora?: boolean } = {},
): Promise<FolderDigests> {
  const sorted = Object.entries(modules)
    .sort(byKey)
    .map(([name, module]) => ({ name, alpha: alphaOf(module, useRslora), ...module }));
  const rank = Math.max(1, ...sorted.map((module) => module.rank));
  const first = sorted.find((module) => module.rank === rank) ?? sorted[0];
  if (!first)
    throw new LoraError(
      'LORA_PARTITION_INVALID',
      'writePeftFolder',
      `there is no module to write to ${directory}; give the task at least one rank`,
    );
  const broken = sorted.filter(({ a, b, scale }) => ![a, b].every(allFinite) || !Number.isFinite(scale));
  if (broken.length > 0)
    throw new LoraError(
      'LORA_PARTITION_INVALID',
      'writePeftFolder',
      `${directory} is not written: NaN or infinity is among the numbers of these modules, so that the adapter would destroy every answer:`,
      { problems: broken.map(({ name }) => name) },
    );
  const { alpha } = first;
  const others = sorted.filter((module) => module.rank !== rank || module.alpha !== alpha);
  const config = {
    ...peftDefaults,
    base_model_name_or_path: baseModel,
    lora_alpha: alpha,
    r: rank,
    rank_pattern: Object.fromEntries(others.map((module) => [module.name, module.rank])),
    alpha_pattern: Object.fromEntries(others.map((module) => [module.name, module.alpha])),
    target_modules: targetsOf(sorted.map(({ name }) => name)),
    use_rslora: useRslora,
  };
  const json = JSON.stringify(Object.fromEntries(Object.entries(config).sort(byKey)), null, 2);
  const tensors = sorted.flatMap(
    ({ name, rank: r, a, inFeatures, b, outFeatures }): [string, FileTensor][] => [
      [`${tensorPrefix}${name}.lora_A.weight`, float32Tensor([r, inFeatures], a)],
      [`${tensorPrefix}${name}.lora_B.weight`, float32Tensor([outFeatures, r], b)],
    ],
  );
  const files = {
    'adapter_model.safetensors': encodeSafetensors(tensors, { format: 'pt' }),
    'adapter_config.json': new TextEncoder().encode(`${json}\n`),
  };
  for (const [name, content] of Object.entries(files)) await writeWhole(join(directory, name), content);
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [name, digestOf(content)]));
}

const allFinite = (values: Float32Array) => values.every((value) => Number.isFinite(value));

const byKey = ([p]: readonly [string, unknown], [q]: readonly [string, unknown]) => (p < q ? -1 : 1);

/** The alpha that gives a module its scale; rounded, so that 2·8 and alpha/8·8 do not differ in the last digit. */
const alphaOf = ({ scale, rank }: AdapterModule, useRslora: boolean) =>
  Number((scale * (useRslora ? Math.sqrt(rank) : rank)).toPrecision(12));

/** Suffixes where they select exactly these modules of a text model, otherwise one expression that matches the full names. */
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
