/** Texts of values as Python writes them. */
import {
  Callable,
  Dict,
  Float,
  Markup,
  Namespace,
  Once,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from './values.js';

/** Python's `str`. @throws Error for a value whose text depends on where it lies in memory. */
export function str(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof Markup) return value.text;
  return value instanceof Undefined ? '' : repr(value);
}

/** Python's `repr`. */
export function repr(value: Value): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return reprOfText(value);
  if (value instanceof Float) return reprOfFloat(value.value);
  if (Array.isArray(value)) return `[${value.map(repr).join(', ')}]`;
  if (value instanceof Tuple)
    return value.items.length === 1
      ? `(${value.items.map(repr).join('')},)`
      : `(${value.items.map(repr).join(', ')})`;
  if (value instanceof Dict)
    return `{${value
      .entries()
      .map(([key, inner]) => `${repr(key)}: ${repr(inner)}`)
      .join(', ')}}`;
  if (value instanceof View)
    return value.kind === 'range' ? value.text : `${value.kind}([${value.items.map(repr).join(', ')}])`;
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Namespace) return `<Namespace ${repr(new Dict(value.members))}>`;
  if (value instanceof Markup) return `Markup(${reprOfText(value.text)})`;
  throw new Error(
    `it prints a ${value instanceof Once || value instanceof Callable ? typeName(value) : 'value'}`,
  );
}

/** The shortest digits, as in JavaScript, yet with Python's rule for exponents. */
export function reprOfFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= 16))
    return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  const plain =
    power < 0 ? value.toFixed(Math.max(0, digits.replace(/[-.]/g, '').length - 1 - power)) : String(value);
  return plain.includes('.') ? plain : `${plain}.0`;
}

const named: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function reprOfText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = Array.from(text, (character) => {
    if (character === quote) return `\\${quote}`;
    if (named[character] !== undefined) return named[character];
    if (character === ' ' || !/[\p{C}\p{Z}]/u.test(character)) return character;
    const code = character.codePointAt(0) ?? 0;
    const hex = code.toString(16);
    return code < 0x100
      ? `\\x${hex.padStart(2, '0')}`
      : code < 0x10000
        ? `\\u${hex.padStart(4, '0')}`
        : `\\U${hex.padStart(8, '0')}`;
  }).join('');
  return `${quote}${inner}${quote}`;
}
