/** The pre-tokenizer of a tokenizer.json: splits a text into the words that are encoded one by one (tokenizers 0.23, pre_tokenizers/). */
import { ModelError } from '../model-error.js';
import { bytesToCharacters } from './byte-characters.js';
import { type Parts, partsOf, regexOf, textIn } from './tokenizer-parts.js';

/** Splits a piece; `isFirst` says whether it begins the whole text. */
export type PreTokenize = (piece: string, isFirst: boolean) => string[];

/** @throws ModelError for a pre-tokenizer that is not supported. */
export function openPreTokenizer(json: unknown, where: string): PreTokenize {
  if (json === null || json === undefined) return (piece) => [piece];
  const part = partsOf(json, 'pre_tokenizer', where);
  const open = preTokenizers[part.type];
  if (!open)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'readTokenizer',
      `${where}: the pre_tokenizer "${part.type}" is not supported; supported are ${Object.keys(preTokenizers).join(', ')}`,
    );
  return open(part, where);
}

/** The words of GPT-2, with the white space of Unicode: JavaScript's `\s` lacks U+0085 and has U+FEFF. */
const gpt2Words =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const punctuation = /[\p{P}!-/:-@[-`{-~]/gu;
const space = /\p{White_Space}/gu;
const words =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d\p{White_Space}]+/gu;

const preTokenizers: Readonly<Record<string, (part: Parts, where: string) => PreTokenize>> = {
  Sequence: (part, where) => {
    const inner =
      (part['pretokenizers'] as unknown[] | undefined)?.map((one) => openPreTokenizer(one, where)) ?? [];
    return (piece, isFirst) =>
      inner.reduce((pieces, split) => pieces.flatMap((one, i) => split(one, isFirst && i === 0)), [piece]);
  },
  ByteLevel: (part) => (piece) => {
    const text = part['add_prefix_space'] !== false && !piece.startsWith(' ') ? ` ${piece}` : piece;
    const found = part['use_regex'] === false ? [text] : split(text, gpt2Words, 'Isolated');
    return found.map(bytesToCharacters);
  },
  Split: (part, where) => {
    const pattern = regexOf(part['pattern'], where);
    const behavior = behaviorOf(part, where);
    return (piece) => split(piece, pattern, behavior, part['invert'] === true);
  },
  // Rust's `is_numeric`: all of Nd, Nl and No.
  Digits: (part) => (piece) =>
    split(piece, /\p{N}/gu, part['individual_digits'] === true ? 'Isolated' : 'Contiguous'),
  Punctuation: (part, where) => {
    const behavior = behaviorOf(part, where);
    return (piece) => split(piece, punctuation, behavior);
  },
  Whitespace: () => (piece) => split(piece, words, 'Removed', true),
  WhitespaceSplit: () => (piece) => split(piece, space, 'Removed'),
  BertPreTokenizer: () => (piece) =>
    split(piece, space, 'Removed').flatMap((one) => split(one, punctuation, 'Isolated')),
  CharDelimiterSplit: (part, where) => {
    const pattern = regexOf({ String: part['delimiter'] }, where);
    return (piece) => split(piece, pattern, 'Removed');
  },
  FixedLength: (part) => (piece) => {
    const characters = Array.from(piece);
    const length = Math.max(1, Number(part['length'] ?? 5));
    return Array.from({ length: Math.ceil(characters.length / length) }, (_, i) =>
      characters.slice(i * length, (i + 1) * length).join(''),
    );
  },
  Metaspace: (part) => (piece, isFirst) => {
    const mark = metaspaceMark(part);
    const scheme = metaspaceScheme(part);
    const marked = piece.replaceAll(' ', mark);
    const isPrefixed = !marked.startsWith(mark) && (scheme === 'always' || (scheme === 'first' && isFirst));
    const text = isPrefixed ? mark + marked : marked;
    return part['split'] === false ? [text] : split(text, new RegExp(mark, 'gu'), 'MergedWithNext');
  },
};

/** The character that stands for a space. */
export const metaspaceMark = (part: Parts) => textIn(part, 'replacement', '▁');

/** Files of before the scheme say whether the first word gets a space. */
export const metaspaceScheme = (part: Parts) =>
  textIn(part, 'prepend_scheme', part['add_prefix_space'] === false ? 'never' : 'always');

const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const;
type Behavior = (typeof behaviors)[number];

function behaviorOf(part: Parts, where: string): Behavior {
  const behavior = behaviors.find((one) => one === (part['behavior'] ?? 'Isolated'));
  if (behavior) return behavior;
  throw new ModelError(
    'MODEL_UNSUPPORTED',
    'readTokenizer',
    `${where}: the behavior ${JSON.stringify(part['behavior'])} of "${part.type}" is not supported; supported are ${behaviors.join(', ')}`,
  );
}

/** Splits at matches, or with `isInverted` at what lies between them; empty pieces are dropped. */
function split(text: string, pattern: RegExp, behavior: Behavior, isInverted = false): string[] {
  const parts: { text: string; isMatch: boolean }[] = [];
  const add = (start: number, end: number, isMatch: boolean) =>
    parts.push({ text: text.slice(start, end), isMatch: isMatch !== isInverted });
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) add(end, match.index, false);
    end = match.index + match[0].length;
    add(match.index, end, true);
  }
  if (end < text.length) add(end, text.length, false);
  return joined(parts, behavior).filter((piece) => piece !== '');
}

function joined(parts: readonly { text: string; isMatch: boolean }[], behavior: Behavior): string[] {
  const pieces: string[] = [];
  let before: boolean | undefined;
  switch (behavior) {
    case 'Isolated':
      return parts.map(({ text }) => text);
    case 'Removed':
      return parts.flatMap(({ text, isMatch }) => (isMatch ? [] : [text]));
    case 'Contiguous':
      for (const { text, isMatch } of parts) {
        if (isMatch === before) pieces.push((pieces.pop() ?? '') + text);
        else pieces.push(text);
        before = isMatch;
      }
      return pieces;
    case 'MergedWithPrevious':
      for (const { text, isMatch } of parts) {
        if (isMatch && before !== true) pieces.push((pieces.pop() ?? '') + text);
        else pieces.push(text);
        before = isMatch;
      }
      return pieces;
    case 'MergedWithNext':
      for (const { text, isMatch } of parts.toReversed()) {
        if (isMatch && before !== true) pieces.push(text + (pieces.pop() ?? ''));
        else pieces.push(text);
        before = isMatch;
      }
      return pieces.reverse();
  }
}
