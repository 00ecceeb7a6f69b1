/** The normalizer of a tokenizer.json: what happens to a text before it is split (tokenizers 0.23, normalizers/). */
import { ModelError } from '../model-error.js';
import { type Parts, partsOf, regexOf, textIn } from './tokenizer-parts.js';

export type Normalize = (text: string) => string;

/** @throws ModelError for a normalizer that is not supported. */
export function openNormalizer(json: unknown, where: string): Normalize | undefined {
  if (json === null || json === undefined) return undefined;
  const part = partsOf(json, 'normalizer', where);
  const steps = normalizers[part.type];
  if (!steps)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'readTokenizer',
      `${where}: the normalizer "${part.type}" is not supported; supported are ${Object.keys(normalizers).join(', ')}`,
    );
  return steps(part, where);
}

/** Whether the normalizer may drop the characters with which a text begins. */
export const dropsCharacters = (json: unknown): boolean =>
  /"strip_left":true|"(BertNormalizer|StripAccents)"|"content":""/.test(JSON.stringify(json ?? null));

const normalizers: Readonly<Record<string, (part: Parts, where: string) => Normalize>> = {
  NFC: () => (text) => text.normalize('NFC'),
  NFD: () => (text) => text.normalize('NFD'),
  NFKC: () => (text) => text.normalize('NFKC'),
  NFKD: () => (text) => text.normalize('NFKD'),
  Lowercase: () => lowercase,
  Strip: (part) => (text) => {
    const left = part['strip_left'] === false ? text : text.replace(/^\p{White_Space}+/u, '');
    return part['strip_right'] === false ? left : withoutTrailingSpace(left);
  },
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ''),
  Prepend: (part) => (text) => (text === '' ? '' : `${textIn(part, 'prepend', '')}${text}`),
  Replace: (part, where) => {
    const pattern = regexOf(part['pattern'], where);
    const content = textIn(part, 'content', '');
    // A function, because "$" has a meaning in a replacement text.
    return (text) => text.replace(pattern, () => content);
  },
  Sequence: (part, where) => {
    const inner =
      (part['normalizers'] as unknown[] | undefined)?.map((one) => openNormalizer(one, where)) ?? [];
    return (text) => inner.reduce((now, normalize) => normalize?.(now) ?? now, text);
  },
  BertNormalizer: (part) => (text) => {
    let now = text;
    if (part['clean_text'] !== false)
      now = now.replace(/(?![\t\n\r])[\0\ufffd\p{C}]/gu, '').replace(/\p{White_Space}/gu, ' ');
    if (part['handle_chinese_chars'] !== false) now = now.replace(chinese, (one) => ` ${one} `);
    const isLower = part['lowercase'] !== false;
    const isStripped = typeof part['strip_accents'] === 'boolean' ? part['strip_accents'] : isLower;
    if (isStripped) now = now.normalize('NFD').replace(/\p{Mn}/gu, '');
    return isLower ? lowercase(now) : now;
  },
};

/** Rust lowers each character alone; JavaScript would look at its neighbours for a final sigma. */
const lowercase = (text: string) => Array.from(text, (character) => character.toLowerCase()).join('');

/** Not by one expression, which would need the square of a text's length. */
function withoutTrailingSpace(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

const chinese =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;
