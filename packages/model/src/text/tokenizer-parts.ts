/** The parts of a tokenizer.json: objects with a type, and the expressions in them. */
import * as tokenizers from '@huggingface/tokenizers';

import { ModelError } from '../model-error.js';
import { escapeExpression } from './escape-expression.js';

/** One object of a tokenizer.json. */
export type Parts = Readonly<Record<string, unknown>> & { readonly type: string };

/** The part of the library in use; its own types do not resolve under NodeNext. */
const { SplitPreTokenizer } = tokenizers as unknown as {
  SplitPreTokenizer: new (config: object) => { readonly pattern: RegExp | null };
};

/** The text under a key. */
export const textIn = (part: Parts, key: string, missing: string): string => {
  const value = part[key];
  return typeof value === 'string' ? value : missing;
};

/** @throws ModelError when it is not an object with a type. */
export function partsOf(json: unknown, name: string, where: string): Parts {
  const type = (json as { type?: unknown } | null)?.type;
  if (typeof json === 'object' && typeof type === 'string') return json as Parts;
  throw new ModelError(
    'MODEL_FILE_DAMAGED',
    'readTokenizer',
    `${where}: a ${name} must be an object with a "type"`,
  );
}

/** An expression of Oniguruma, or a plain text, as an expression of JavaScript that finds all matches. */
export function regexOf(pattern: unknown, where: string): RegExp {
  const { String: text, Regex: regex } = (pattern ?? {}) as { String?: unknown; Regex?: unknown };
  if (typeof text === 'string') return new RegExp(escapeExpression(text), 'gu');
  const found =
    typeof regex === 'string' ? new SplitPreTokenizer({ pattern: { Regex: regex } }).pattern : null;
  if (found) return found;
  throw new ModelError(
    'MODEL_FILE_DAMAGED',
    'readTokenizer',
    `${where}: a pattern must have a "String" or a "Regex"`,
  );
}
