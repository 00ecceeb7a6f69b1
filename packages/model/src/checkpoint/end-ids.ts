/** The ids that begin a text and end an answer, as a model's files list them in addition to the tokenizer's own tokens. */
import { join } from 'node:path';

import type { GgufHeader } from '../gguf/header.js';
import { ModelError } from '../model-error.js';
import { type Config, partOf, textOf } from '../spec/config-reader.js';
import { readJsonObject } from '../spec/read-json.js';
import type { ModelIds } from '../text/tokenizer.js';

/**
 * The ids in generation_config.json or, only if there is no such file (as in transformers), config.json.
 *
 * @throws ModelError when one is damaged.
 */
export async function readModelIds(directory: string): Promise<ModelIds> {
  for (const name of ['generation_config.json', 'config.json']) {
    const where = join(directory, name);
    const config = await readJsonObject(where, 'openCheckpoint');
    if (config === undefined) continue;
    const text = partOf(config, 'text_config');
    const idsOf = (key: string) =>
      configIds(config[key] === undefined ? (text ?? config) : config, { key, where });
    return { begin: idsOf('bos_token_id')[0], pad: idsOf('pad_token_id')[0], ends: idsOf('eos_token_id') };
  }
  return { ends: [] };
}

/** An id, a list of ids, or none. */
function configIds(config: Config, { key, where }: { key: string; where: string }): number[] {
  const value = Object.hasOwn(config, key) ? config[key] : undefined;
  const ids: readonly unknown[] = Array.isArray(value) ? value : [value ?? []].flat();
  // transformers writes -1 for no padding token.
  if (key === 'pad_token_id' && value === -1) return [];
  if (!ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0))
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'openCheckpoint',
      `${where}: "${key}" is ${textOf(value).slice(0, 80)}; it must be an id or a list of ids`,
    );
  return ids as number[];
}

/** End-of-turn tokens by their text, for files that do not name one; llama.cpp looks for the same (llama-vocab.cpp). */
const turnEnds = ['<|eot_id|>', '<|im_end|>', '<|end|>', '<end_of_turn>', '<end_of_utterance>'];
const controlToken = 3;

/** The end-of-text, end-of-turn and end-of-message ids that a GGUF file names or has under a usual name. */
export function ggufEndIds({ metadata }: GgufHeader): number[] {
  const named = (name: string) => {
    const id = metadata.get(`tokenizer.ggml.${name}_token_id`);
    return typeof id === 'number' ? [id] : [];
  };
  const [tokens, types] = [metadata.get('tokenizer.ggml.tokens'), metadata.get('tokenizer.ggml.token_type')];
  const found =
    Array.isArray(tokens) && types instanceof Int32Array && named('eot').length === 0
      ? turnEnds.map((text) => tokens.indexOf(text)).filter((id) => types[id] === controlToken)
      : [];
  return [...named('eos'), ...named('eot'), ...named('eom'), ...found];
}
