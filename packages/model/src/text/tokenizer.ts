/** Converts text to token ids and back, as a `tokenizer.json` says. */
import { ModelError } from '../model-error.js';
import { openAddedTokens } from './added-tokens.js';
import { openDecoder } from './decoder.js';
import { dropsCharacters, openNormalizer } from './normalizer.js';
import { framingOf } from './post-processor.js';
import { openPreTokenizer } from './pre-tokenizer.js';
import { namedTokens, withListedTokens } from './special-tokens.js';
import { openTimeLimit } from './time-limit.js';
import { tokenBytesOf } from './token-bytes.js';
import { openWordEncoder } from './word-encoder.js';

export interface TextTokenizer {
  /** The ids of a text, without added special tokens. */
  encode(text: string): number[];
  decode(ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }): string;
  /** The id of the token with exactly this text, if there is one. */
  idOf(token: string): number | undefined;
  readonly beginId: number | undefined;
  /** The token that ends a trained answer: the tokenizer's own, else the first that the model's files list; undefined when none does. */
  readonly endId: number | undefined;
  readonly padId: number;
  /** Whether the model's tokenizer puts the begin token before plain text, through its post-processor. */
  readonly addsBegin: boolean;
  /** The texts of the special tokens that have a name, under the names that chat templates use: `bos_token` and so on. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** The model's Jinja template for chats, if it has one. */
  readonly chatTemplate: string | undefined;
  /** Every template of a model that has several, by name; `default` is `chatTemplate`. */
  readonly namedTemplates?: Readonly<Record<string, string>>;
  /** The bytes that each token adds to a text, by id; undefined for special tokens. Computed on each call. */
  tokenBytes(): readonly (Uint8Array | undefined)[];
}

/** A tokenizer in the Hugging Face layout: the contents of tokenizer.json and tokenizer_config.json. */
export interface TokenizerFiles {
  readonly json: object;
  readonly config: Readonly<Record<string, unknown>>;
  /** What the model's other files list, for a tokenizer that names no such token. */
  readonly modelIds?: ModelIds;
}

/** Token ids in generation_config.json, config.json or the metadata of a GGUF file. */
export interface ModelIds {
  readonly begin?: number | undefined;
  readonly pad?: number | undefined;
  readonly ends: readonly number[];
}

/**
 * Makes a tokenizer; `where` names its file in messages. The file's regular expressions may run for `limitMilliseconds` plus one
 * millisecond per character.
 *
 * @throws ModelError when the files are damaged, ask for something that is not supported, or a regular expression takes too long, then or
 * later.
 */
export function openTokenizer(
  { json, config, modelIds }: TokenizerFiles,
  where: string,
  { limitMilliseconds = 3000 }: { readonly limitMilliseconds?: number } = {},
): TextTokenizer {
  // An error of the library, on reading the file or later, is a fault of the file.
  const guarded = <T>(use: () => T): T => {
    try {
      return use();
    } catch (cause) {
      if (cause instanceof ModelError) throw cause;
      throw new ModelError(
        'MODEL_FILE_DAMAGED',
        'readTokenizer',
        `${where} is not a readable tokenizer (${(cause as Error).message})`,
        { cause },
      );
    }
  };
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
  const pieces = limited(encodePatterns, 0, () => {
    const words = openWordEncoder(parts['model'], where);
    const { vocabulary } = words;
    if (
      dropsCharacters(parts['normalizer']) &&
      JSON.stringify(parts['pre_tokenizer'] ?? null).includes('"prepend_scheme":"first"')
    )
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        'readTokenizer',
        `${where}: a Metaspace with "prepend_scheme" "first" after a normalizer that drops characters is not supported`,
      );
    const normalize = openNormalizer(parts['normalizer'], where);
    const listed = withListedTokens(parts['added_tokens'], config, vocabulary);
    return {
      words,
      added: openAddedTokens(listed, { vocabulary, size: words.texts.size, normalize, where }),
      split: openPreTokenizer(parts['pre_tokenizer'], where),
      decode: openDecoder(parts['decoder'], where),
    };
  });
  const { words, added, split } = pieces;
  const addedByContent = new Map(added.tokens.map(({ id, content }) => [content, id]));
  const shownById = new Map(added.tokens.map(({ id, shown }) => [id, shown]));
  // By text: in the reference, a special token that normalizing changes is not left out.
  const special = new Set(
    added.tokens.flatMap(({ content, special: isSpecial }) => (isSpecial === true ? [content] : [])),
  );
  const idOf = (token: string) => addedByContent.get(token) ?? words.vocabulary.get(token);

  const specialTokens = namedTokens(config, idOf);
  const named = (key: string) => {
    const content = specialTokens[key];
    return content === undefined ? undefined : idOf(content);
  };
  const framing = framingOf(parts['post_processor'], where);
  const endId = named('eos_token') ?? modelIds?.ends[0];
  const templates = templatesOf(config['chat_template']);
  const isCleaned = config['clean_up_tokenization_spaces'] === true && words.kind !== 'BPE';
  return {
    encode: (text) =>
      limited(encodePatterns, text.length, () =>
        added
          .cut(text)
          .flatMap((section) =>
            'id' in section
              ? [section.id]
              : split(section.text, section.isFirst).flatMap((word) => words.encode(word)),
          ),
      ),
    decode: (ids, { skipSpecialTokens = false } = {}) => {
      if (ids.length === 0) return '';
      const tokens = ids.flatMap((id) => {
        const content = shownById.get(id) ?? words.texts.get(id);
        return content === undefined || (skipSpecialTokens && special.has(content)) ? [] : [content];
      });
      const text = limited(decodePatterns, ids.length, () => pieces.decode(tokens));
      return isCleaned ? cleanUp(text) : text;
    },
    idOf,
    beginId: named('bos_token') ?? framing.beginId ?? modelIds?.begin,
    endId,
    padId: named('pad_token') ?? modelIds?.pad ?? endId ?? 0,
    addsBegin: framing.beginId !== undefined,
    specialTokens,
    chatTemplate: templates?.['default'],
    ...(templates ? { namedTemplates: templates } : {}),
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

/** A template is a text, or a list of named templates. */
function templatesOf(value: unknown): Record<string, string> | undefined {
  if (typeof value === 'string') return { default: value };
  if (!Array.isArray(value)) return undefined;
  const entries = (value as ({ name?: unknown; template?: unknown } | null)[]).flatMap((entry) =>
    typeof entry?.name === 'string' && typeof entry.template === 'string'
      ? [[entry.name, entry.template] as const]
      : [],
  );
  return Object.fromEntries(entries);
}

/** transformers, clean_up_tokenization. */
const cleanUp = (text: string) =>
  text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
