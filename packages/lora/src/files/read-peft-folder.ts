/** Reads adapters as PEFT (0.21) keeps them: `adapter_config.json` and `adapter_model.safetensors` in one folder. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { LoraError } from '../lora-error.js';
import type { FileTensor } from '../safetensors/tensor.js';
import type { AdapterModules } from '../segments/adapter-module.js';
import { checkDigests } from './folder-digests.js';
import { parsePeftConfig } from './peft-config.js';
import { modulesOf } from './peft-modules.js';
import type { PeftTargets } from './peft-targets.js';
import { sortPeftTensors } from './peft-tensors.js';
import { readSafetensors } from './safetensors-files.js';

export interface PeftAdapter {
  /** The pairs of linear modules: of decoder layers, a vision tower, the connector or `lm_head`. */
  readonly modules: AdapterModules;
  /** The pairs of embeddings: A is `[rank, vocabulary]`, B is `[hidden, rank]`, and row t gains scale · B A[:, t]. */
  readonly embeddings: AdapterModules;
  /**
   * Full weights that replace the base's, by their name in the file without the prefix: a module's own copy (`modules_to_save`), or with
   * `.base_layer.weight` the base's weight itself, which a tied pair shares.
   */
  readonly replaced: Readonly<Record<string, FileTensor>>;
  readonly targets: PeftTargets;
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Reads any PEFT LoRA folder: rank and alpha patterns, rsLoRA, embeddings, modules_to_save. Where the folder has a `digests.json`, as in a
 * run, its files are compared with it first.
 *
 * @throws LoraError naming the file when it is missing (`LORA_FILE_MISSING`) or damaged (`LORA_FILE_DAMAGED`), or when the adapter
 * is not a LoRA, has a tensor that is not used or not finite, or a setting that is not supported, such as DoRA (`LORA_ADAPTER_UNUSABLE`).
 */
export async function readPeftFolder(directory: string): Promise<PeftAdapter> {
  await checkDigests(directory);
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
  if (!(await exists(weightsPath)) && (await exists(join(directory, 'adapter_model.bin'))))
    throw new LoraError(
      'LORA_FILE_MISSING',
      'readPeftFolder',
      `${directory} has its weights in adapter_model.bin, a pickle; save the adapter with PEFT again, which writes adapter_model.safetensors`,
    );
  const { tensors } = await readSafetensors(weightsPath);
  const sorted = sortPeftTensors(tensors, config);
  const [linears, embeddings] = [modulesOf(sorted.linears, config), modulesOf(sorted.embeddings, config)];
  const problems = [...sorted.problems, ...linears.problems, ...embeddings.problems];
  if (tensors.size === 0) problems.push('there is no tensor in it');
  else if (sorted.linears.size + sorted.embeddings.size === 0) problems.push('there is no LoRA tensor in it');
  if (problems.length > 0)
    throw new LoraError('LORA_ADAPTER_UNUSABLE', 'readPeftFolder', `${weightsPath}:`, { problems });
  return {
    modules: linears.modules,
    embeddings: embeddings.modules,
    replaced: Object.fromEntries(sorted.replaced),
    targets: config.targets,
    config: config.all,
  };
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
