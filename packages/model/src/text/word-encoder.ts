/** The model of a tokenizer.json: the ids of one word. */
import * as tokenizers from '@huggingface/tokenizers';

import { ModelError } from '../model-error.js';
import { holdsAllBytes } from './byte-characters.js';

/** The part of the library in use; its own types do not resolve under NodeNext. */
interface LibraryModel {
  encode(words: readonly string[]): readonly string[];
}
const { BPE, Unigram, WordPiece } = tokenizers as unknown as Readonly<
  Record<'BPE' | 'Unigram' | 'WordPiece', new (config: object, end?: string) => LibraryModel>
>;

export interface WordEncoder {
  readonly kind: 'BPE' | 'Unigram' | 'WordPiece' | 'WordLevel';
  /** Every token of the model and its id, without added tokens. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** The text of each id; a list may hold a text twice. */
  readonly texts: ReadonlyMap<number, string>;
  encode(word: string): number[];
}

interface ModelJson {
  readonly type?: unknown;
  readonly vocab?: unknown;
  readonly merges?: unknown;
  readonly unk_token?: string | null;
  readonly unk_id?: number | null;
  readonly byte_fallback?: boolean;
  readonly fuse_unk?: boolean;
  readonly ignore_merges?: boolean;
  readonly dropout?: number | null;
  readonly continuing_subword_prefix?: string | null;
  readonly end_of_word_suffix?: string | null;
}

/** @throws ModelError when the model is damaged or not supported. */
export function openWordEncoder(json: unknown, where: string): WordEncoder {
  const refuse = (
    what: string,
    code: 'MODEL_UNSUPPORTED' | 'MODEL_FILE_DAMAGED' = 'MODEL_UNSUPPORTED',
  ): never => {
    throw new ModelError(code, 'readTokenizer', `${where}: ${what}`);
  };
  if (typeof json !== 'object' || json === null) return refuse('it has no "model"', 'MODEL_FILE_DAMAGED');
  const model = json as ModelJson;
  const kind = kindOf(model);
  if (kind === undefined)
    return refuse(
      `the model ${JSON.stringify(model.type)} is not supported; supported are BPE, Unigram, WordPiece, WordLevel`,
    );
  const entries = entriesOf(model.vocab);
  if (!entries) return refuse('its vocabulary is not readable', 'MODEL_FILE_DAMAGED');
  const vocabulary = new Map(entries);
  const texts = new Map(entries.map(([text, id]) => [id, text]));
  if (typeof model.dropout === 'number' && model.dropout > 0)
    return refuse(`"dropout" ${model.dropout} would encode at random; set it to null`);
  const unknown =
    kind === 'Unigram'
      ? (model.unk_id ?? undefined)
      : typeof model.unk_token === 'string'
        ? vocabulary.get(model.unk_token)
        : undefined;
  const bytesOf = (text: string): number[] | undefined => {
    if (model.byte_fallback !== true) return undefined;
    const ids = Array.from(new TextEncoder().encode(text), (byte) =>
      vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    );
    return ids.includes(undefined) ? undefined : (ids as number[]);
  };
  const fallback = (text: string) => bytesOf(text) ?? (unknown === undefined ? [] : [unknown]);

  switch (kind) {
    case 'WordLevel':
      return { kind, vocabulary, texts, encode: (word) => [vocabulary.get(word) ?? unknown ?? []].flat() };
    case 'WordPiece': {
      const library = new WordPiece({ continuing_subword_prefix: '##', ...model });
      return {
        kind,
        vocabulary,
        texts,
        encode: (word) => library.encode([word]).flatMap((token) => vocabulary.get(token) ?? unknown ?? []),
      };
    }
    case 'Unigram': {
      const library = new Unigram(model);
      return {
        kind,
        vocabulary,
        texts,
        encode: (word) => unigramIds(library.encode([word]), { vocabulary, unknown, fallback }),
      };
    }
    case 'BPE': {
      for (const key of ['continuing_subword_prefix', 'end_of_word_suffix'] as const)
        if (model[key]) return refuse(`"${key}" ${JSON.stringify(model[key])} is not supported`);
      if (!Array.isArray(model.merges)) return refuse('a BPE model needs "merges"', 'MODEL_FILE_DAMAGED');
      const library = new BPE({ ...model, unk_token: null, byte_fallback: false, ignore_merges: false });
      const isComplete = holdsAllBytes(vocabulary);
      return {
        kind,
        vocabulary,
        texts,
        encode: (word) => {
          const whole = model.ignore_merges === true ? vocabulary.get(word) : undefined;
          if (whole !== undefined) return [whole];
          if (isComplete) {
            const ids = library.encode([word]).map((token) => vocabulary.get(token));
            if (!ids.includes(undefined)) return ids as number[];
          }
          return bpeIds(word, { library, vocabulary, unknown, bytesOf, isFused: model.fuse_unk === true });
        },
      };
    }
  }
}

/** Old files have no type; the order of attempts is that of tokenizers. */
function kindOf({ type, merges, vocab, ...rest }: ModelJson): WordEncoder['kind'] | undefined {
  if (type === undefined || type === null)
    return Array.isArray(vocab)
      ? 'Unigram'
      : merges !== undefined
        ? 'BPE'
        : 'continuing_subword_prefix' in rest
          ? 'WordPiece'
          : 'WordLevel';
  return (['BPE', 'Unigram', 'WordPiece', 'WordLevel'] as const).find((kind) => kind === type);
}

function entriesOf(vocab: unknown): [string, number][] | undefined {
  if (typeof vocab !== 'object' || vocab === null) return undefined;
  const entries: [unknown, unknown][] = Array.isArray(vocab)
    ? (vocab as unknown[][]).map((entry, id) => [Array.isArray(entry) ? entry[0] : undefined, id])
    : Object.entries(vocab);
  const isGood = entries.every(
    ([token, id]) => typeof token === 'string' && Number.isSafeInteger(id) && (id as number) >= 0,
  );
  return isGood ? (entries as [string, number][]) : undefined;
}

/**
 * BPE when a character may be unknown: known runs are merged on their own, as no merge crosses an unknown token; characters that have no
 * token at all vanish before merging.
 */
function bpeIds(
  word: string,
  {
    library,
    vocabulary,
    unknown,
    bytesOf,
    isFused,
  }: {
    library: LibraryModel;
    vocabulary: ReadonlyMap<string, number>;
    unknown: number | undefined;
    bytesOf: (text: string) => number[] | undefined;
    isFused: boolean;
  },
): number[] {
  const ids: number[] = [];
  let run = '';
  let isUnknown = false;
  const flush = () => {
    if (run !== '')
      ids.push(...library.encode([run]).flatMap((token) => vocabulary.get(token) ?? unknown ?? []));
    run = '';
  };
  for (const character of word) {
    if (vocabulary.has(character)) {
      run += character;
      isUnknown = false;
      continue;
    }
    const bytes = bytesOf(character);
    if (bytes === undefined && unknown === undefined) continue;
    flush();
    if (bytes) ids.push(...bytes);
    else if (!(isFused && isUnknown)) ids.push(unknown ?? 0);
    isUnknown = bytes === undefined;
  }
  flush();
  return ids;
}

/** Neighbouring unknown pieces are one. */
function unigramIds(
  pieces: readonly string[],
  {
    vocabulary,
    unknown,
    fallback,
  }: {
    vocabulary: ReadonlyMap<string, number>;
    unknown: number | undefined;
    fallback: (text: string) => number[];
  },
): number[] {
  const ids: number[] = [];
  let held = '';
  const flush = () => {
    if (held === '') return;
    const id = vocabulary.get(held);
    ids.push(...(id === undefined ? fallback(held) : [id]));
    held = '';
  };
  for (const piece of pieces) {
    const id = vocabulary.get(piece);
    if (id === undefined || id === unknown) held += piece;
    else {
      flush();
      ids.push(id);
    }
  }
  flush();
  return ids;
}
