/** Text to token ids and back, from a directory's `tokenizer.json`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Tokenizer } from '@huggingface/tokenizers';

import { ModelError } from './model-error.js';

/** What is used of the library; its own types do not resolve under NodeNext. */
interface LibraryTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: readonly number[] };
  decode(
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
  token_to_id(token: string): number | undefined;
}
const LibraryTokenizer = Tokenizer as unknown as new (json: object, config: object) => LibraryTokenizer;

export interface TextTokenizer {
  /** No special tokens are added. */
  encode(text: string): number[];
  decode(ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }): string;
  /** The id of a token by its own text, if the vocabulary has it. */
  idOf(token: string): number | undefined;
  readonly beginId: number | undefined;
  readonly endId: number | undefined;
  readonly padId: number;
}

/** Reads tokenizer.json and tokenizer_config.json. */
export async function readTokenizer(directory: string): Promise<TextTokenizer> {
  const json = await readJson(join(directory, 'tokenizer.json'), directory);
  const config = await readJson(join(directory, 'tokenizer_config.json'), directory);
  let tokenizer: LibraryTokenizer;
  try {
    tokenizer = new LibraryTokenizer(json, config);
  } catch (cause) {
    throw new ModelError(
      'readTokenizer',
      `${join(directory, 'tokenizer.json')} is not a tokenizer that can be read (${(cause as Error).message})`,
      { cause },
    );
  }
  const idOf = (token: string) => tokenizer.token_to_id(token);
  const special = (key: string) => {
    const value = config[key] as string | { content?: string } | null | undefined;
    const content = typeof value === 'string' ? value : value?.content;
    return content === undefined ? undefined : idOf(content);
  };
  return {
    encode: (text) => [...tokenizer.encode(text, { add_special_tokens: false }).ids],
    // The library throws on an empty list and cleans up spaces unless told not to.
    decode: (ids, { skipSpecialTokens = false } = {}) =>
      ids.length === 0
        ? ''
        : tokenizer.decode([...ids], {
            skip_special_tokens: skipSpecialTokens,
            clean_up_tokenization_spaces: false,
          }),
    idOf,
    beginId: special('bos_token'),
    endId: special('eos_token'),
    padId: special('pad_token') ?? special('eos_token') ?? 0,
  };
}

async function readJson(path: string, directory: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ModelError(
      'readTokenizer',
      `${directory} has no ${path.slice(directory.length + 1)}; download the model again`,
      { cause },
    );
  });
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new ModelError('readTokenizer', `${path} is not JSON`, { cause });
  }
}
