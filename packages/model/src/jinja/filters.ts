/** The filters of jinja2 (filters.py), and the `tojson` of transformers. */
import { bind } from './arguments.js';
import { itemOf, memberPath } from './members.js';
import { calculate } from './operators.js';
import { str } from './python-text.js';
import { capitalize, center, replace, roundHalfEven, splitLines, strip } from './string-methods.js';
import { tests } from './tests.js';
import { toJson } from './to-json.js';
import {
  compare,
  Dict,
  Float,
  type Given,
  integer,
  isNumber,
  isTrue,
  iterate,
  keyOf,
  lengthOf,
  Markup,
  numberOf,
  Once,
  Tuple,
  typeName,
  Undefined,
  type Value,
  valueOr,
} from './values.js';

type Filter = (value: Value, given: Given) => Value;

const first = (given: Given, name: string) => bind(given, [name])[0];
const count = (value: Value | undefined, missing: number): number => {
  if (value === undefined) return missing;
  if (typeof value === 'number' || typeof value === 'boolean') return Number(value);
  throw new Error(`an integer is needed, not a ${typeName(value)}`);
};
/** Texts differ in case only if asked for. */
const folded = (value: Value, isSensitive: Value | undefined) =>
  typeof value === 'string' && !isTrue(isSensitive ?? false) ? value.toLowerCase() : value;
const sorted = (values: readonly Value[], key: (value: Value) => Value, reverse: Value | undefined) => {
  const order = isTrue(reverse ?? false) ? -1 : 1;
  return values
    .map((value) => ({ value, key: key(value) }))
    .sort((p, q) => order * compare(p.key, q.key))
    .map(({ value }) => value);
};
/** The value at an attribute's path; several paths give a tuple. */
const attributeKey = (attribute: Value | undefined, isSensitive: Value | undefined, missing?: Value) => {
  if (attribute === undefined || attribute === null) return (value: Value) => folded(value, isSensitive);
  const paths = typeof attribute === 'string' && attribute.includes(',') ? attribute.split(',') : [attribute];
  return (value: Value) => {
    const parts = paths.map((path) => folded(memberPath(value, path, missing), isSensitive));
    return parts.length === 1 ? valueOr(parts[0], null) : new Tuple(parts);
  };
};
const html: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};
const escape: Filter = (value) =>
  value instanceof Markup ? value : new Markup(str(value).replace(/[&<>"']/g, (one) => html[one] ?? one));
const defaultTo: Filter = (value, given) => {
  const [other = '', isForFalse = false] = bind(given, ['default_value', 'boolean']);
  return value instanceof Undefined || (isTrue(isForFalse) && !isTrue(value)) ? other : value;
};
const length: Filter = (value) => lengthOf(value);

/** The test or filter that `select`, `map` and their like name first. */
function picked(given: Given, fromAttribute: boolean): (value: Value) => Value {
  const attribute = fromAttribute ? given.positional[0] : undefined;
  const [name, ...args] = given.positional.slice(fromAttribute ? 1 : 0);
  if (fromAttribute && attribute === undefined) throw new Error('an attribute is missing');
  const of = (value: Value) => (fromAttribute ? memberPath(value, attribute ?? null) : value);
  if (name === undefined) return of;
  return (value) => runTest(str(name), of(value), args);
}

/** jinja2 does not look at what is false, not even whether it can be iterated over. */
const itemsIfTrue = (value: Value) => (isTrue(value) ? iterate(value) : []);

const chosen =
  (wanted: boolean, fromAttribute: boolean): Filter =>
  (value, given) => {
    const pick = picked(given, fromAttribute);
    return new Once(itemsIfTrue(value).filter((one) => isTrue(pick(one)) === wanted));
  };

const extreme =
  (sign: 1 | -1): Filter =>
  (value, given) => {
    const [isSensitive, attribute] = bind(given, ['case_sensitive', 'attribute']);
    const key = attributeKey(attribute, isSensitive);
    const [start, ...rest] = iterate(value);
    if (start === undefined) return new Undefined('a sequence without items has no least or greatest');
    return rest.reduce((best, one) => (sign * compare(key(one), key(best)) < 0 ? one : best), start);
  };

const groups = (
  value: Value,
  given: Given,
  cut: (items: Value[], size: number, fill: Value | undefined) => Value[][],
): Value => {
  const [size, fill] = bind(given, ['linecount', 'fill_with']);
  return new Once(cut(iterate(value), Math.max(1, count(size, 1)), fill ?? undefined));
};

const filters: Readonly<Record<string, Filter>> = {
  abs: (value) => {
    if (!isNumber(value)) throw new Error(`abs needs a number, not a ${typeName(value)}`);
    return value instanceof Float ? new Float(Math.abs(value.value)) : Math.abs(Number(value));
  },
  attr: (value, given) => memberPath(value, first(given, 'name') ?? null),
  batch: (value, given) =>
    groups(value, given, (items, size, fill) =>
      Array.from({ length: Math.ceil(items.length / size) }, (_, i) => {
        const batch = items.slice(i * size, (i + 1) * size);
        return fill === undefined ? batch : [...batch, ...new Array<Value>(size - batch.length).fill(fill)];
      }),
    ),
  slice: (value, given) => {
    const [slices, fill] = bind(given, ['slices', 'fill_with']);
    const items = iterate(value);
    const number = Math.max(1, count(slices, 1));
    const [each, extra] = [Math.floor(items.length / number), items.length % number];
    let start = 0;
    return new Once(
      Array.from({ length: number }, (_, i): Value => {
        const end = start + each + (i < extra ? 1 : 0);
        const part = items.slice(start, end);
        start = end;
        return fill === undefined || fill === null || i < extra ? part : [...part, fill];
      }),
    );
  },
  capitalize: (value) => capitalize(str(value)),
  center: (value, given) => center(str(value), count(first(given, 'width'), 80)),
  count: length,
  d: defaultTo,
  default: defaultTo,
  dictsort: (value, given) => {
    const [isSensitive, by = 'key', reverse] = bind(given, ['case_sensitive', 'by', 'reverse']);
    if (!(value instanceof Dict)) throw new Error(`dictsort needs a dict, not a ${typeName(value)}`);
    const at = by === 'value' ? 1 : 0;
    return sorted(
      value.entries().map((pair) => new Tuple(pair)),
      (pair) => folded(itemOf(pair, at), isSensitive),
      reverse,
    );
  },
  e: escape,
  escape,
  first: (value) => {
    const [item] = value instanceof Once ? value.take(1) : iterate(value);
    return valueOr(item, new Undefined('a sequence without items has no first'));
  },
  float: (value, given) => {
    const other = valueOr(first(given, 'default'), new Float(0));
    if (value instanceof Undefined) return value.fail();
    if (isNumber(value)) return new Float(numberOf(value));
    return typeof value === 'string' ? (parseFloatText(value) ?? other) : other;
  },
  forceescape: (value) =>
    escape(value instanceof Markup ? value.text : value, { positional: [], named: new Map() }),
  format: (value, { positional, named }) =>
    calculate('%', str(value), named.size > 0 ? new Dict(named) : new Tuple(positional)),
  groupby: (value, given) => {
    const [attribute, other, isSensitive] = bind(given, ['attribute', 'default', 'case_sensitive']);
    const plain = attributeKey(attribute, true, other);
    const key = attributeKey(attribute, isSensitive, other);
    const found: { key: Value; grouper: Value; list: Value[] }[] = [];
    for (const item of sorted(iterate(value), key, false)) {
      const last = found.at(-1);
      if (last && compare(last.key, key(item)) === 0) last.list.push(item);
      else found.push({ key: key(item), grouper: plain(item), list: [item] });
    }
    return found.map(({ grouper, list }) => new Tuple([grouper, list]));
  },
  indent: (value, given) => {
    const [width = 4, isFirst = false, withBlank = false] = bind(given, ['width', 'first', 'blank']);
    const indent = typeof width === 'string' ? width : ' '.repeat(count(width, 4));
    const lines = splitLines(`${needText(value, 'indent')}\n`);
    const [start = '', ...rest] = lines;
    const all = [
      start,
      ...rest.map((line) => (line === '' && !isTrue(withBlank) ? line : indent + line)),
    ].join('\n');
    return isTrue(isFirst) ? indent + all : all;
  },
  int: (value, given) => {
    const [other = 0, base = 10] = bind(given, ['default', 'base']);
    if (value instanceof Undefined) return value.fail();
    if (isNumber(value))
      return Number.isFinite(numberOf(value)) ? integer(Math.trunc(numberOf(value))) : other;
    return typeof value === 'string' ? (parseInteger(value, count(base, 10)) ?? other) : other;
  },
  items: (value) => {
    if (value instanceof Undefined) return new Once([]);
    if (!(value instanceof Dict)) throw new Error(`items needs a dict, not a ${typeName(value)}`);
    return new Once(value.entries().map((pair) => new Tuple(pair)));
  },
  join: (value, given) => {
    const [by = '', attribute] = bind(given, ['d', 'attribute']);
    const items = iterate(value);
    const texts =
      attribute === undefined || attribute === null
        ? items
        : items.map((item) => memberPath(item, attribute));
    return texts.map(plainText).join(str(by));
  },
  last: (value) => {
    if (value instanceof Once) throw new Error('a generator has no last item');
    return valueOr(iterate(value).at(-1), new Undefined('a sequence without items has no last'));
  },
  length,
  list: (value) => [...iterate(value)],
  lower: (value) => plainText(value).toLowerCase(),
  map: (value, given) => {
    const attribute = given.named.get('attribute');
    if (attribute !== undefined) {
      const missing = given.named.get('default');
      return new Once(itemsIfTrue(value).map((one) => memberPath(one, attribute, missing)));
    }
    const [name, ...positional] = given.positional;
    if (name === undefined) throw new Error('map needs a filter');
    return new Once(
      itemsIfTrue(value).map((one) => runFilter(str(name), one, { positional, named: given.named })),
    );
  },
  max: extreme(-1),
  min: extreme(1),
  reject: chosen(false, false),
  rejectattr: chosen(false, true),
  replace: (value, given) => {
    const [from = '', to = '', limit] = bind(given, ['old', 'new', 'count']);
    return replace(plainText(value), plainText(from), plainText(to), count(limit ?? undefined, -1));
  },
  reverse: (value) => {
    if (typeof value === 'string') return Array.from(value).reverse().join('');
    if (value instanceof Once) return value.take().reverse();
    return new Once(iterate(value).toReversed());
  },
  round: (value, given) => {
    const [precision, method = 'common'] = bind(given, ['precision', 'method']);
    const digits = count(precision, 0);
    if (!isNumber(value)) throw new Error(`round needs a number, not a ${typeName(value)}`);
    if (method === 'common')
      return value instanceof Float ? roundHalfEven(value, digits) : roundInteger(Number(value), digits);
    if (method !== 'ceil' && method !== 'floor') throw new Error('round knows common, ceil and floor');
    return new Float(Math[method](numberOf(value) * 10 ** digits) / 10 ** digits);
  },
  safe: (value) => new Markup(str(value)),
  select: chosen(true, false),
  selectattr: chosen(true, true),
  sort: (value, given) => {
    const [reverse, isSensitive, attribute] = bind(given, ['reverse', 'case_sensitive', 'attribute']);
    return sorted(iterate(value), attributeKey(attribute, isSensitive), reverse);
  },
  string: (value) => (value instanceof Markup ? value : str(value)),
  sum: (value, given) => {
    const [attribute, start = 0] = bind(given, ['attribute', 'start']);
    const items = iterate(value).map((one) =>
      attribute === undefined || attribute === null ? one : memberPath(one, attribute),
    );
    return items.reduce((sum, one) => calculate('+', sum, one), start);
  },
  title: (value) =>
    plainText(value)
      .split(/([-\s({[<]+)/)
      .map((word) => {
        const [start = '', ...rest] = Array.from(word);
        return start.toUpperCase() + rest.join('').toLowerCase();
      })
      .join(''),
  tojson: (value, given) => {
    const [isAscii = false, indent, separators, sortsKeys = false] = bind(given, [
      'ensure_ascii',
      'indent',
      'separators',
      'sort_keys',
    ]);
    const pair = separators === undefined || separators === null ? undefined : iterate(separators).map(str);
    return toJson(value, {
      isAscii: isTrue(isAscii),
      indent:
        indent === undefined || indent === null
          ? undefined
          : typeof indent === 'string'
            ? indent
            : ' '.repeat(Math.max(0, count(indent, 0))),
      separators: pair && [pair[0] ?? '', pair[1] ?? ''],
      sortsKeys: isTrue(sortsKeys),
    });
  },
  trim: (value, given) => strip(plainText(value), first(given, 'chars')),
  truncate: (value, given) => {
    const [size, killsWords = false, end = '...', leeway] = bind(given, [
      'length',
      'killwords',
      'end',
      'leeway',
    ]);
    const [limit, tail] = [count(size, 255), str(end)];
    const characters = Array.from(needText(value, 'truncate'));
    if (characters.length <= limit + count(leeway ?? undefined, 5)) return characters.join('');
    const cut = characters.slice(0, Math.max(0, limit - Array.from(tail).length)).join('');
    const space = cut.lastIndexOf(' ');
    return (isTrue(killsWords) || space < 0 ? cut : cut.slice(0, space)) + tail;
  },
  unique: (value, given) => {
    const [isSensitive, attribute] = bind(given, ['case_sensitive', 'attribute']);
    const key = attributeKey(attribute, isSensitive);
    const seen = new Set<string>();
    return new Once(
      iterate(value).filter((one) => {
        const hash = keyOf(key(one));
        const isNew = !seen.has(hash);
        seen.add(hash);
        return isNew;
      }),
    );
  },
  upper: (value) => plainText(value).toUpperCase(),
  wordcount: (value) => plainText(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0,
};

/** A text that is used further, which one that is not to be escaped cannot be. */
function plainText(value: Value): string {
  if (value instanceof Markup)
    throw new Error('a Markup is used, which is not supported; put "safe" and "escape" last');
  return str(value);
}

function needText(value: Value, filter: string): string {
  if (typeof value === 'string') return value;
  throw new Error(`${filter} needs a text, not a ${typeName(value)}`);
}

/** Tens and hundreds are rounded to the even one of two that are as near. */
function roundInteger(value: number, digits: number): number {
  if (digits >= 0) return integer(value);
  const unit = 10 ** -digits;
  const below = Math.floor(value / unit);
  const rest = value - below * unit;
  const isUp = rest * 2 > unit || (rest * 2 === unit && below % 2 !== 0);
  return integer((below + (isUp ? 1 : 0)) * unit);
}

/** @throws Error naming a filter that is unknown or not supported. */
export function runFilter(name: string, value: Value, given: Given): Value {
  const filter = Object.hasOwn(filters, name) ? filters[name] : undefined;
  if (!filter) throw new Error(`the filter "${name}" is not supported`);
  return filter(value, given);
}

/** @throws Error naming a test that is unknown or not supported. */
export function runTest(name: string, value: Value, args: readonly Value[]): boolean {
  const operators: Readonly<Record<string, string>> = {
    '==': 'eq',
    '!=': 'ne',
    '<': 'lt',
    '<=': 'le',
    '>': 'gt',
    '>=': 'ge',
  };
  const known = operators[name] ?? name;
  if (known === 'filter' && typeof value === 'string') return Object.hasOwn(filters, value);
  if (known === 'test' && typeof value === 'string') return Object.hasOwn(tests, value);
  const test = Object.hasOwn(tests, known) ? tests[known] : undefined;
  if (!test) throw new Error(`the test "${name}" is not supported`);
  return test(value, args);
}

function parseFloatText(value: string): Float | undefined {
  const plain = strip(value).replace(/(?<=\d)_(?=\d)/g, '');
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain)) return new Float(Number(plain));
  const word = /^([-+]?)(inf|infinity|nan)$/i.exec(plain);
  if (!word) return undefined;
  return new Float(/nan/i.test(plain) ? NaN : word[1] === '-' ? -Infinity : Infinity);
}

function parseInteger(value: string, base: number): number | undefined {
  const plain = strip(value).replace(/(?<=[\da-z])_(?=[\da-z])/gi, '');
  const [, sign = '', digits = ''] = /^([-+]?)(?:0[xob])?([\da-z]+)$/i.exec(plain) ?? [];
  const isDigits =
    base === 10
      ? /^[-+]?\d+$/.test(plain)
      : digits !== '' && Array.from(digits.toLowerCase()).every((one) => parseInt(one, 36) < base);
  if (isDigits) return integer((sign === '-' ? -1 : 1) * parseInt(digits, base));
  const float = parseFloatText(value);
  return float && Number.isFinite(float.value) ? integer(Math.trunc(float.value)) : undefined;
}
