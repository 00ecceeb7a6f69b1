/** Converts text to token ids and back, as a `tokenizer.json` says. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Tokenizer } from '@huggingface/tokenizers';

import { ModelError } from '../model-error.js';
import type { Config } from '../spec/config-reader.js';
import { readJsonObject } from '../spec/read-json.js';
import { openTimeLimit } from './time-limit.js';
import { tokenBytesOf } from './token-bytes.js';

/** The part of the library in use; its own types do not resolve under NodeNext. */
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
  /** The ids of a text, without added special tokens. */
  encode(text: string): number[];
  decode(ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }): string;
  /** The id of the token with exactly this text, if there is one. */
  idOf(token: string): number | undefined;
  readonly beginId: number | undefined;
  readonly endId: number | undefined;
  readonly padId: number;
  /** Whether the model's tokenizer puts the begin token before plain text, through its post-processor or `add_bos_token`. */
  readonly addsBegin: boolean;
  /** The texts of the vocabulary's special tokens, under the names that chat templates use: `bos_token` and so on. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** The model's Jinja template for chats, if it has one. */
  readonly chatTemplate: string | undefined;
  /** The bytes that each token adds to a text, by id; undefined for special tokens. Computed on each call. */
  tokenBytes(): readonly (Uint8Array | undefined)[];
}

/** A tokenizer in the Hugging Face layout: the contents of tokenizer.json and tokenizer_config.json. */
export interface TokenizerFiles {
  readonly json: object;
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Reads tokenizer.json, tokenizer_config.json and, if present, chat_template.jinja.
 *
 * @throws ModelError when a file is missing or damaged.
 */
export async function readTokenizer(directory: string): Promise<TextTokenizer> {
  const json = await readPart(directory, 'tokenizer.json');
  const config = await readPart(directory, 'tokenizer_config.json');
  const template = await readFile(join(directory, 'chat_template.jinja'), 'utf8').catch(() => undefined);
  return openTokenizer(
    { json, config: template === undefined ? config : { ...config, chat_template: template } },
    join(directory, 'tokenizer.json'),
  );
}

/**
 * Makes a tokenizer; `where` names its file in messages. The file's regular expressions may run for `limitMilliseconds` plus one
 * millisecond per character.
 *
 * @throws ModelError when the files are damaged or a regular expression takes too long, then or later.
 */
export function openTokenizer(
  { json, config }: TokenizerFiles,
  where: string,
  { limitMilliseconds = 3000 }: { readonly limitMilliseconds?: number } = {},
): TextTokenizer {
  // An error of the library, on reading the file or later, is a fault of the file.
  const guarded = <T>(use: () => T): T => {
    try {
      return use();
    } catch (cause) {
      throw new ModelError(
        'MODEL_FILE_DAMAGED',
        'readTokenizer',
        `${where} is not a readable tokenizer (${(cause as Error).message})`,
        { cause },
      );
    }
  };
  const tokenizer = guarded(() => new LibraryTokenizer(json, config));
  const limit = openTimeLimit();
  const limited = <T>(patterns: readonly string[], size: number, use: () => T): T => {
    if (patterns.length === 0) return guarded(use);
    const milliseconds = limitMilliseconds + size;
    const slow = () =>
      new ModelError(
        'MODEL_FILE_DAMAGED',
        'readTokenizer',
        `${where}: its regular expressions need more than ${milliseconds} ms for ${size} characters or tokens (the first is ${JSON.stringify(patterns[0]).slice(0, 80)}); the file is damaged or malicious`,
      );
    return limit(() => guarded(use), { milliseconds, slow });
  };
  const parts = json as Readonly<Record<string, unknown>>;
  const encodePatterns = [...regexesOf(parts['normalizer']), ...regexesOf(parts['pre_tokenizer'])];
  const decodePatterns = regexesOf(parts['decoder']);
  for (const pattern of [...encodePatterns, ...decodePatterns])
    if (pattern.length > longestPattern)
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        'readTokenizer',
        `${where}: a regular expression has ${pattern.length} characters, and at most ${longestPattern} are read`,
      );
  const idOf = (token: string) => tokenizer.token_to_id(token);
  const specialTokens = Object.fromEntries(
    ['bos_token', 'eos_token', 'unk_token', 'pad_token'].flatMap((key) => {
      const value = config[key] as string | { content?: string } | null | undefined;
      const content = typeof value === 'string' ? value : value?.content;
      return typeof content === 'string' && idOf(content) !== undefined ? [[key, content] as const] : [];
    }),
  );
  const special = (key: string) => {
    const content = specialTokens[key];
    return content === undefined ? undefined : idOf(content);
  };
  const encode = (text: string, addSpecialTokens: boolean) =>
    limited(encodePatterns, text.length, () => {
      const ids = [...tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids];
      const odd = ids.find((id) => !Number.isSafeInteger(id) || id < 0);
      if (odd !== undefined) throw new Error(`it gives the id ${String(odd)}`);
      return ids;
    });
  const beginId = special('bos_token');
  return {
    encode: (text) => encode(text, false),
    // The library throws on an empty list, and cleans up spaces by default.
    decode: (ids, { skipSpecialTokens = false } = {}) =>
      ids.length === 0
        ? ''
        : limited(decodePatterns, ids.length, () =>
            tokenizer.decode([...ids], {
              skip_special_tokens: skipSpecialTokens,
              clean_up_tokenization_spaces: false,
            }),
          ),
    idOf,
    beginId,
    endId: special('eos_token'),
    padId: special('pad_token') ?? special('eos_token') ?? 0,
    addsBegin:
      beginId !== undefined && (config['add_bos_token'] === true || encode('a', true)[0] === beginId),
    specialTokens,
    chatTemplate: chatTemplateOf(config['chat_template']),
    tokenBytes: () => tokenBytesOf(json),
  };
}

const longestPattern = 10_000;

/** Every regular expression of a part of tokenizer.json. */
function regexesOf(part: unknown): string[] {
  const found: string[] = [];
  const left = [part];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, inner] of Object.entries(value))
      if (key === 'Regex') found.push(String(inner));
      else left.push(inner);
  }
  return found;
}

/** A template is a text, or a list of named templates with one named "default". */
function chatTemplateOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const named = value as ({ name?: unknown; template?: unknown } | null)[];
  const template = named.find((entry) => entry?.name === 'default')?.template;
  return typeof template === 'string' ? template : undefined;
}

async function readPart(directory: string, name: string): Promise<Config> {
  const part = await readJsonObject(join(directory, name), 'readTokenizer');
  if (part) return part;
  throw new ModelError(
    'MODEL_FILE_MISSING',
    'readTokenizer',
    `${directory} has no ${name}; download the model again`,
  );
}
