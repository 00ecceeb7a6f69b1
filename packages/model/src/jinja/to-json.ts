/** The `tojson` of transformers: Python's `json.dumps`, which escapes no HTML. */
import { reprOfFloat } from './python-text.js';
import { Dict, Float, Markup, Tuple, typeName, type Value } from './values.js';

export interface JsonStyle {
  readonly isAscii: boolean;
  /** The text that indents a level; undefined writes one line. */
  readonly indent: string | undefined;
  readonly separators: readonly [item: string, key: string] | undefined;
  readonly sortsKeys: boolean;
}

/** @throws Error for a value that JSON does not have. */
export function toJson(value: Value, style: JsonStyle): string {
  const [between, colon] = style.separators ?? [style.indent === undefined ? ', ' : ',', ': '];
  const write = (one: Value, depth: number): string => {
    if (one === null) return 'null';
    if (typeof one === 'boolean' || typeof one === 'number') return String(one);
    if (typeof one === 'string') return quoted(one);
    if (one instanceof Markup) return quoted(one.text);
    if (one instanceof Float) return floatText(one.value);
    const indent = style.indent;
    const wrapped = (open: string, close: string, parts: readonly string[]) => {
      if (parts.length === 0) return `${open}${close}`;
      if (indent === undefined) return `${open}${parts.join(between)}${close}`;
      const line = `\n${indent.repeat(depth + 1)}`;
      return `${open}${line}${parts.join(`${between}${line}`)}\n${indent.repeat(depth)}${close}`;
    };
    if (Array.isArray(one) || one instanceof Tuple)
      return wrapped(
        '[',
        ']',
        (Array.isArray(one) ? one : one.items).map((inner) => write(inner, depth + 1)),
      );
    if (!(one instanceof Dict)) throw new Error(`a ${typeName(one)} cannot be written as JSON`);
    const entries = one.entries();
    const sorted = style.sortsKeys ? entries.toSorted(([p], [q]) => compareKeys(p, q)) : entries;
    return wrapped(
      '{',
      '}',
      sorted.map(([key, inner]) => `${quoted(keyText(key))}${colon}${write(inner, depth + 1)}`),
    );
  };
  const quoted = (text: string) => {
    const json = JSON.stringify(text);
    return style.isAscii
      ? json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      : json;
  };
  return write(value, 0);
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? reprOfFloat(value) : value > 0 ? 'Infinity' : '-Infinity';
}

function keyText(key: Value): string {
  if (typeof key === 'string') return key;
  if (key === null) return 'null';
  if (typeof key === 'boolean' || typeof key === 'number') return String(key);
  if (key instanceof Float) return floatText(key.value);
  throw new Error(`a ${typeName(key)} cannot be a key in JSON`);
}

function compareKeys(left: Value, right: Value): number {
  if (typeof left !== 'string' || typeof right !== 'string')
    throw new Error('only texts can be sorted as keys of JSON');
  return left < right ? -1 : left > right ? 1 : 0;
}
