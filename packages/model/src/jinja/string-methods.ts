/** The methods of Python's `str`. */
import { pythonSpace } from './lexer.js';
import { bind } from './arguments.js';
import { repr, str } from './python-text.js';
import {
  Dict,
  Float,
  type Given,
  integer,
  isNumber,
  iterate,
  numberOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

type Method = (text: string, given: Given) => Value;

const space = new RegExp(`[${pythonSpace}]`, 'u');
const lineEnd = new RegExp(String.raw`\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]`, 'g');
const cased = /\p{Cased}/u;

const text = (value: Value | undefined, what: string): string => {
  if (typeof value === 'string') return value;
  if (value instanceof Undefined) return value.fail();
  throw new Error(
    `${what} needs a text, and gets a ${value === undefined ? 'missing argument' : typeName(value)}`,
  );
};
const whole = (value: Value | undefined, missing: number): number => {
  if (value === undefined) return missing;
  if (typeof value === 'number' || typeof value === 'boolean') return Number(value);
  throw new Error(`an integer is needed, not a ${typeName(value)}`);
};

function trim(
  value: string,
  characters: Value | undefined,
  { left, right }: { left: boolean; right: boolean },
): string {
  const list = Array.from(value);
  const set =
    characters === undefined || characters === null ? undefined : new Set(text(characters, 'strip'));
  const isDropped = (one: string | undefined) => one !== undefined && (set ? set.has(one) : space.test(one));
  let [start, end] = [0, list.length];
  if (left) while (start < end && isDropped(list[start])) start++;
  if (right) while (end > start && isDropped(list[end - 1])) end--;
  return list.slice(start, end).join('');
}

export const strip = (value: string, characters?: Value): string =>
  trim(value, characters, { left: true, right: true });

const all = (value: string, pattern: RegExp) =>
  value !== '' && Array.from(value).every((one) => pattern.test(one));

export const capitalize = (value: string): string => titled(Array.from(value)[0] ?? '') + lowerRest(value);

/** The rest in lower case, which for a final sigma depends on what precedes it. */
function lowerRest(word: string): string {
  const first = Array.from(word)[0] ?? '';
  return word.toLowerCase().slice(first.toLowerCase().length);
}

const digraphs = ['\u01c4\u01c5\u01c6', '\u01c7\u01c8\u01c9', '\u01ca\u01cb\u01cc', '\u01f1\u01f2\u01f3'];
/** The title case of one character: ß becomes Ss, and ǆ becomes ǅ. */
function titled(character: string): string {
  const digraph = digraphs.find((all) => character !== '' && all.includes(character));
  if (digraph) return digraph.charAt(1);
  const [first = '', ...rest] = Array.from(character.toUpperCase());
  return first + rest.join('').toLowerCase();
}

/** Case differs between Unicode's tables of JavaScript and Python. */
function needAscii(value: string, method: string): string {
  if (/^\p{ASCII}*$/u.test(value)) return value;
  throw new Error(`the method "${method}" is supported for ASCII only`);
}

export const isLower = (value: string): boolean => {
  const list = Array.from(value).filter((one) => cased.test(one));
  return list.length > 0 && list.every((one) => /\p{Lowercase}/u.test(one));
};
export const isUpper = (value: string): boolean => {
  const list = Array.from(value).filter((one) => cased.test(one));
  return list.length > 0 && list.every((one) => /\p{Uppercase}/u.test(one));
};

export const center = (value: string, width: number, fill = ' '): string => {
  const length = Array.from(value).length;
  const missing = Math.max(0, width - length);
  // Python puts the odd one on the left only if the width is odd.
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + value + fill.repeat(missing - left);
};

export const splitLines = (value: string, keepEnds = false): string[] => {
  const lines: string[] = [];
  let start = 0;
  for (const match of value.matchAll(lineEnd)) {
    lines.push(value.slice(start, keepEnds ? match.index + match[0].length : match.index));
    start = match.index + match[0].length;
  }
  if (start < value.length) lines.push(value.slice(start));
  return lines;
};

function split(value: string, separator: Value | undefined, most: number): string[] {
  const limit = most < 0 ? Infinity : most;
  if (separator === undefined || separator === null) {
    const parts: string[] = [];
    let rest = trim(value, undefined, { left: true, right: false });
    while (rest !== '' && parts.length < limit) {
      const end = Array.from(rest).findIndex((one) => space.test(one));
      if (end < 0) break;
      const word = Array.from(rest).slice(0, end).join('');
      parts.push(word);
      rest = trim(rest.slice(word.length), undefined, { left: true, right: false });
    }
    return rest === '' ? parts : [...parts, rest];
  }
  const by = text(separator, 'split');
  if (by === '') throw new Error('split needs a separator that is not empty');
  const parts = value.split(by);
  return parts.length - 1 <= limit ? parts : [...parts.slice(0, limit), parts.slice(limit).join(by)];
}

function splitFromRight(value: string, separator: Value | undefined, most: number): string[] {
  const turned = (one: string) => Array.from(one).reverse().join('');
  const by = separator === undefined || separator === null ? undefined : turned(text(separator, 'rsplit'));
  return split(turned(value), by, most).map(turned).reverse();
}

export function replace(value: string, from: string, to: string, count = -1): string {
  if (count < 0)
    return from === ''
      ? to + Array.from(value, (one) => one + to).join('')
      : value.replaceAll(from, () => to);
  const pieces = from === '' ? ['', ...Array.from(value)] : value.split(from);
  if (from === '') {
    // An empty text is found before each character and at the end.
    const list = Array.from(value);
    return [...list.map((one, i) => (i < count ? to : '') + one), list.length < count ? to : ''].join('');
  }
  return pieces.map((piece, i) => (i === 0 ? '' : i <= count ? to : from) + piece).join('');
}

/** Positions count characters, as in Python. */
function find(value: string, { positional }: Given, fromRight: boolean): number {
  const list = Array.from(value);
  const [start, end] = range(list.length, positional[1], positional[2]);
  const part = list.slice(start, end).join('');
  const wanted = text(positional[0], 'find');
  if (start > list.length) return -1;
  const at = fromRight ? part.lastIndexOf(wanted) : part.indexOf(wanted);
  return at < 0 ? -1 : start + Array.from(part.slice(0, at)).length;
}

function range(length: number, start: Value | undefined, end: Value | undefined): [number, number] {
  const at = (value: Value | undefined, missing: number) => {
    const index = value === null ? missing : whole(value, missing);
    return index < 0 ? Math.max(0, index + length) : index;
  };
  return [at(start, 0), Math.min(length, at(end, length))];
}

function starts(
  value: string,
  { positional }: Given,
  test: (part: string, wanted: string) => boolean,
): boolean {
  const list = Array.from(value);
  const [start, end] = range(list.length, positional[1], positional[2]);
  if (start > list.length || end < start) return false;
  const part = list.slice(start, end).join('');
  const [wanted] = positional;
  const options = wanted instanceof Tuple ? wanted.items : [wanted];
  return options.some((one) => test(part, text(one, 'startswith')));
}

const pad = (value: string, given: Given, put: (value: string, fill: string) => string) => {
  const width = whole(given.positional[0], 0);
  const fill = given.positional[1] === undefined ? ' ' : text(given.positional[1], 'a fill');
  if (Array.from(fill).length !== 1) throw new Error('a fill must be one character');
  return put(value, fill.repeat(Math.max(0, width - Array.from(value).length)));
};

const counted = (value: string, wanted: string) =>
  wanted === '' ? Array.from(value).length + 1 : value.split(wanted).length - 1;

export const stringMethods: Readonly<Record<string, Method>> = {
  upper: (value) => value.toUpperCase(),
  lower: (value) => value.toLowerCase(),
  casefold: (value) => needAscii(value, 'casefold').toLowerCase(),
  swapcase: (value) =>
    Array.from(needAscii(value, 'swapcase'), (one) =>
      /[A-Z]/.test(one) ? one.toLowerCase() : one.toUpperCase(),
    ).join(''),
  capitalize: (value) => capitalize(value),
  title: (value) =>
    value.replace(/\p{Cased}+/gu, (word) => titled(Array.from(word)[0] ?? '') + lowerRest(word)),
  strip: (value, { positional }) => strip(value, positional[0]),
  lstrip: (value, { positional }) => trim(value, positional[0], { left: true, right: false }),
  rstrip: (value, { positional }) => trim(value, positional[0], { left: false, right: true }),
  split: (value, given) => {
    const [separator, most] = bind(given, ['sep', 'maxsplit']);
    return split(value, separator, whole(most, -1));
  },
  rsplit: (value, given) => {
    const [separator, most] = bind(given, ['sep', 'maxsplit']);
    return splitFromRight(value, separator, whole(most, -1));
  },
  splitlines: (value, given) => splitLines(value, bind(given, ['keepends'])[0] === true),
  replace: (value, given) => {
    const [from, to, count] = given.positional;
    const limit = count ?? given.named.get('count');
    return replace(value, text(from, 'replace'), text(to, 'replace'), whole(limit, -1));
  },
  join: (value, { positional }) =>
    iterate(positional[0] ?? null)
      .map((one) => text(one, 'join'))
      .join(value),
  startswith: (value, given) => starts(value, given, (part, wanted) => part.startsWith(wanted)),
  endswith: (value, given) => starts(value, given, (part, wanted) => part.endsWith(wanted)),
  find: (value, given) => find(value, given, false),
  rfind: (value, given) => find(value, given, true),
  index: (value, given) => found(find(value, given, false)),
  rindex: (value, given) => found(find(value, given, true)),
  count: (value, { positional }) => {
    const list = Array.from(value);
    const [start, end] = range(list.length, positional[1], positional[2]);
    return counted(list.slice(start, end).join(''), text(positional[0], 'count'));
  },
  partition: (value, { positional }) => {
    const by = text(positional[0], 'partition');
    const at = value.indexOf(by);
    return new Tuple(at < 0 ? [value, '', ''] : [value.slice(0, at), by, value.slice(at + by.length)]);
  },
  rpartition: (value, { positional }) => {
    const by = text(positional[0], 'rpartition');
    const at = value.lastIndexOf(by);
    return new Tuple(at < 0 ? ['', '', value] : [value.slice(0, at), by, value.slice(at + by.length)]);
  },
  removeprefix: (value, { positional }) => {
    const start = text(positional[0], 'removeprefix');
    return value.startsWith(start) ? value.slice(start.length) : value;
  },
  removesuffix: (value, { positional }) => {
    const end = text(positional[0], 'removesuffix');
    return end !== '' && value.endsWith(end) ? value.slice(0, -end.length) : value;
  },
  zfill: (value, { positional }) => {
    const missing = Math.max(0, whole(positional[0], 0) - Array.from(value).length);
    return /^[-+]/.test(value)
      ? value.charAt(0) + '0'.repeat(missing) + value.slice(1)
      : '0'.repeat(missing) + value;
  },
  ljust: (value, given) => pad(value, given, (one, fill) => one + fill),
  rjust: (value, given) => pad(value, given, (one, fill) => fill + one),
  center: (value, { positional }) =>
    center(value, whole(positional[0], 0), positional[1] === undefined ? ' ' : text(positional[1], 'center')),
  isdigit: (value) =>
    all(
      value,
      /[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792]/u,
    ),
  isdecimal: (value) => all(value, /\p{Nd}/u),
  isnumeric: (value) => all(value, /\p{N}/u),
  isalpha: (value) => all(value, /\p{L}/u),
  isalnum: (value) => all(value, /[\p{L}\p{N}]/u),
  isspace: (value) => all(value, space),
  islower: (value) => isLower(value),
  isupper: (value) => isUpper(value),
  isascii: (value) => /^\p{ASCII}*$/u.test(value),
  format: (value, given) => format(value, given),
};

const found = (at: number) => {
  if (at < 0) throw new Error('index finds nothing');
  return at;
};

/** `str.format` with names, numbers and empty fields; conversions and formats are refused. */
function format(value: string, { positional, named }: Given): string {
  let next = 0;
  return value.replace(/\{\{|\}\}|\{([^{}]*)\}|[{}]/g, (field, inner?: string) => {
    if (field === '{{' || field === '}}') return field.charAt(0);
    if (inner === undefined || !/^\w*$/.test(inner))
      throw new Error(`the format "${field}" is not supported`);
    const found =
      inner === '' ? positional[next++] : /^\d+$/.test(inner) ? positional[Number(inner)] : named.get(inner);
    if (found === undefined) throw new Error(`the format "${field}" has no value`);
    return str(found);
  });
}

/** Python's `%`, with the common conversions. */
export function percent(value: string, given: Value): string {
  const list = given instanceof Tuple ? [...given.items] : [given];
  let next = 0;
  const result = value.replace(
    /%(?:\((\w+)\))?([-+ 0#]*)(\d+)?(?:\.(\d+))?([\s\S]?)/g,
    (
      whole0,
      name: string | undefined,
      flags: string,
      width: string | undefined,
      digits: string | undefined,
      code: string,
    ) => {
      if (code === '%') return '%';
      const one = name === undefined ? list[next++] : given instanceof Dict ? given.get(name) : undefined;
      if (one === undefined) throw new Error(`the format "${whole0}" has no value`);
      const plain = converted(one, code, digits, whole0);
      const signed =
        flags.includes('+') && isNumber(one) && code !== 's' && !plain.startsWith('-') ? `+${plain}` : plain;
      const length = Number(width ?? 0);
      if (flags.includes('-')) return signed.padEnd(length);
      if (flags.includes('0') && code !== 's' && code !== 'r') {
        const sign = /^[-+]/.exec(signed)?.[0] ?? '';
        return sign + signed.slice(sign.length).padStart(length - sign.length, '0');
      }
      return signed.padStart(length);
    },
  );
  const isOpen = !(typeof given === 'string' || isNumber(given) || given === null || given instanceof Tuple);
  if (!isOpen && next < list.length) throw new Error('a format has fewer places than values');
  return result;
}

function converted(value: Value, code: string, digits: string | undefined, whole0: string): string {
  if (code === 's' || code === 'r') {
    const plain = code === 's' ? str(value) : repr(value);
    return digits === undefined ? plain : Array.from(plain).slice(0, Number(digits)).join('');
  }
  if (!isNumber(value))
    throw new Error(`the format "${whole0}" needs a number, and gets a ${typeName(value)}`);
  const number = numberOf(value);
  if (code === 'd' || code === 'i')
    return String(integer(Math.trunc(number))).padStart(digits === undefined ? 0 : Number(digits), '0');
  if (code === 'f' || code === 'F') return toFixed(number, Number(digits ?? 6));
  throw new Error(`the format "${whole0}" is not supported`);
}

/** Rounds ties to even, as Python does; JavaScript rounds them up. */
function toFixed(value: number, digits: number): string {
  const rounded = value.toFixed(digits);
  const exact = Math.abs(value).toFixed(Math.min(100, digits + 30));
  const rest = exact.slice(exact.length - 30);
  if (digits + 30 > 100 || !/^50*$/.test(rest) || Number(exact) !== Math.abs(value)) return rounded;
  const below = exact.slice(0, exact.length - 30).replace(/\.$/, '');
  if (Number(below.at(-1)) % 2 !== 0) return rounded;
  return (value < 0 ? '-' : '') + below;
}

/** Python's `round`. */
export const roundHalfEven = (value: Float, digits: number): Float =>
  new Float(
    digits >= 0
      ? Number(toFixed(value.value, digits))
      : Math.round(value.value / 10 ** -digits) * 10 ** -digits,
  );
