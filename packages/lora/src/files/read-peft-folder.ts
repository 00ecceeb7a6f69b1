/** Reads adapters as PEFT (0.21) keeps them: `adapter_config.json` and `adapter_model.safetensors` in one folder. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { LoraError } from '../lora-error.js';
import { type FileTensor, toFloat32 } from '../safetensors/tensor.js';
import type { AdapterModule, AdapterModules } from '../segments/adapter-module.js';
import { parsePeftConfig, scaleFor, tensorPrefix } from './peft-config.js';
import { readSafetensors } from './safetensors-files.js';

export interface PeftAdapter {
  readonly modules: AdapterModules;
  /** Full weights that replace the base's (`modules_to_save`), by their name in the file without the prefix. */
  readonly replaced: Readonly<Record<string, FileTensor>>;
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Reads any PEFT LoRA folder: rank and alpha patterns, rsLoRA, modules_to_save.
 *
 * @throws LoraError naming the file when it is missing (`LORA_FILE_MISSING`) or damaged (`LORA_FILE_DAMAGED`), or when the adapter
 * is not a LoRA or uses what is not supported, such as DoRA (`LORA_ADAPTER_UNUSABLE`).
 */
export async function readPeftFolder(directory: string): Promise<PeftAdapter> {
  const configPath = join(directory, 'adapter_config.json');
  const bytes = await readFile(configPath).catch((cause: unknown) => {
    const what = `${directory} has no adapter_config.json; is it a PEFT folder?`;
    throw new LoraError('LORA_FILE_MISSING', 'readPeftFolder', what, { cause });
  });
  let text: string;
  try {
    // Skips a byte order mark.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new LoraError(
      'LORA_FILE_DAMAGED',
      'readPeftFolder',
      `${configPath} is not UTF-8; save it as UTF-8`,
      { cause },
    );
  }
  const config = parsePeftConfig(text, configPath);
  const weightsPath = join(directory, 'adapter_model.safetensors');
  const { tensors } = await readSafetensors(weightsPath);
  const problems: string[] = [];
  // Names come from the file; as entries, none of them can reach a prototype.
  const modules: [string, AdapterModule][] = [];
  const replaced: [string, FileTensor][] = [];
  for (const [name, tensor] of tensors) {
    const plain = name.startsWith(tensorPrefix) ? name.slice(tensorPrefix.length) : name;
    const match = /^(.*)\.lora_([AB])\.weight$/.exec(plain);
    if (!match) {
      const kind = unsupportedKind(plain);
      if (kind === undefined) replaced.push([plain, tensor]);
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
    const scale = scaleFor(module, rank, config);
    modules.push([
      module,
      { rank, scale, a: toFloat32(tensor), inFeatures, b: toFloat32(other), outFeatures },
    ]);
  }
  if (modules.length === 0) problems.push('there is no LoRA tensor in it');
  if (problems.length > 0)
    throw new LoraError('LORA_ADAPTER_UNUSABLE', 'readPeftFolder', `${weightsPath}:`, { problems });
  return { modules: Object.fromEntries(modules), replaced: Object.fromEntries(replaced), config: config.all };
}

/** What an unsupported tensor is; undefined for a whole weight, which replaces the base's. */
function unsupportedKind(name: string): string | undefined {
  if (name.includes('lora_embedding_')) return 'LoRA on an embedding';
  if (/lora_magnitude_vector|dora/i.test(name)) return 'DoRA';
  if (/lora_[AB]\.bias$/.test(name)) return 'a bias of LoRA';
  if (/lora_[AB]\.\w+\.weight$/.test(name))
    return 'an adapter with a name in its tensors (as of a training checkpoint)';
  return name.includes('lora_') ? 'a tensor of this kind' : undefined;
}

const isFloat = ({ dtype }: FileTensor) => dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
