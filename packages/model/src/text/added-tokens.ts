/** The added tokens of a tokenizer.json, which a text is searched for before it is split (tokenizers 0.23, added_vocabulary.rs). */
import { ModelError } from '../model-error.js';
import { escapeExpression } from './escape-expression.js';
import type { Normalize } from './normalizer.js';

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** It counts only where no letter or digit touches it. */
  readonly single_word?: boolean;
  /** It takes the white space before it, or after it. */
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  /** It is searched for after normalizing. */
  readonly normalized?: boolean;
  readonly special?: boolean;
  /** The text by which it is found, and which it adds to a text: normalized if it is searched for after normalizing. */
  readonly shown: string;
}

/** A part of a text: an added token, or text that holds none. */
export type Section = { readonly id: number } | { readonly text: string; readonly isFirst: boolean };

/**
 * Checks the list and returns a function that cuts a text at added tokens and normalizes what lies between.
 *
 * @throws ModelError when an entry is damaged or its id is not the one that it gets in the reference.
 */
export function openAddedTokens(
  list: unknown,
  {
    vocabulary,
    size,
    normalize,
    where,
  }: {
    vocabulary: ReadonlyMap<string, number>;
    size: number;
    normalize: Normalize | undefined;
    where: string;
  },
): { tokens: AddedToken[]; cut: (text: string) => Section[] } {
  const tokens: AddedToken[] = [];
  const known = new Set<string>();
  let next = size;
  for (const entry of (Array.isArray(list) ? list : []) as (Partial<AddedToken> | null)[]) {
    const { id, content } = entry ?? {};
    if (typeof content !== 'string' || typeof id !== 'number')
      throw new ModelError(
        'MODEL_FILE_DAMAGED',
        'readTokenizer',
        `${where}: an added token needs a "content" and an "id"`,
      );
    if (content === '' || known.has(content)) continue;
    known.add(content);
    const right = vocabulary.get(content) ?? next;
    if (right !== id)
      throw new ModelError(
        'MODEL_FILE_DAMAGED',
        'readTokenizer',
        `${where}: the added token ${JSON.stringify(content)} says id ${id}, but the vocabulary gives it ${right}`,
      );
    next = Math.max(next, id + 1);
    const isNormalized = entry?.normalized === true;
    const shown = isNormalized && normalize ? normalize(content) : content;
    if (shown === '')
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        'readTokenizer',
        `${where}: nothing is left of the added token ${JSON.stringify(content)} when it is normalized`,
      );
    tokens.push({ ...(entry as AddedToken), shown });
  }
  const plain = finderOf(tokens.filter(({ normalized }) => normalized !== true));
  const normalized = finderOf(tokens.filter(({ normalized: isNormalized }) => isNormalized === true));
  return {
    tokens,
    cut: (text) =>
      plain(text).flatMap((section): Section[] => {
        if ('id' in section) return [section];
        const isFirst = section.start === 0;
        return normalized(normalize?.(section.text) ?? section.text).map((inner) =>
          'id' in inner ? inner : { text: inner.text, isFirst: isFirst && inner.start === 0 },
        );
      }),
  };
}

type Cut = { readonly id: number } | { readonly text: string; readonly start: number };

const word = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]/u;
const space = /\p{White_Space}/u;

/** Finds tokens from the left, the longest first. */
function finderOf(tokens: readonly AddedToken[]): (text: string) => Cut[] {
  const byContent = new Map(tokens.map((token) => [token.shown, token]));
  if (byContent.size === 0) return (text) => (text === '' ? [] : [{ text, start: 0 }]);
  const longestFirst = [...byContent.keys()].sort((p, q) => q.length - p.length);
  const pattern = new RegExp(longestFirst.map((content) => escapeExpression(content)).join('|'), 'gu');
  return (text) => {
    const cuts: Cut[] = [];
    let done = 0;
    for (const match of text.matchAll(pattern)) {
      const token = byContent.get(match[0]);
      if (!token) continue;
      let start = match.index;
      let end = start + match[0].length;
      if (
        token.single_word === true &&
        (touches(text.slice(Math.max(0, start - 2), start), -1) || touches(text.slice(end, end + 2), 0))
      )
        continue;
      if (token.lstrip === true) {
        while (start > 0 && space.test(text.charAt(start - 1))) start--;
        start = Math.max(start, done);
      }
      if (token.rstrip === true) while (end < text.length && space.test(text.charAt(end))) end++;
      if (done < start) cuts.push({ text: text.slice(done, start), start: done });
      // The token before may have taken all of it, as spaces.
      if (start < end) cuts.push({ id: token.id });
      done = end;
    }
    if (done < text.length) cuts.push({ text: text.slice(done), start: done });
    return cuts;
  };
}

/** Whether the last or the first character belongs to a word. */
const touches = (text: string, at: number) => word.test(Array.from(text).at(at) ?? '');
