/** The ids that end an answer, as a model's files list them in addition to the tokenizer's own end token. */
import type { GgufHeader } from '../gguf/header.js';
import { ModelError } from '../model-error.js';
import { type Config, textOf } from '../spec/config-reader.js';

/**
 * `eos_token_id` of a generation_config.json or config.json: an id, a list of ids, or none.
 *
 * @throws ModelError when it is anything else.
 */
export function configEndIds(config: Config, where: string): number[] {
  const value = Object.hasOwn(config, 'eos_token_id') ? config['eos_token_id'] : undefined;
  const ids: readonly unknown[] = Array.isArray(value) ? value : [value ?? []].flat();
  if (!ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0))
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'openCheckpoint',
      `${where}: "eos_token_id" is ${textOf(value).slice(0, 80)}; it must be an id or a list of ids`,
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
