/** Attributes and items of values, in the sandbox in which transformers runs templates. */
import { bind } from './arguments.js';
import { str } from './python-text.js';
import { stringMethods } from './string-methods.js';
import {
  Callable,
  Dict,
  Float,
  isEqual,
  Markup,
  Namespace,
  Tuple,
  typeName,
  Undefined,
  type Value,
  valueOr,
  View,
} from './values.js';

const changing: Readonly<Record<'dict' | 'list', readonly string[]>> = {
  dict: ['clear', 'pop', 'popitem', 'setdefault', 'update'],
  list: ['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove'],
};

const missing = (of: Value, name: string) =>
  new Undefined(of instanceof Undefined ? of.what : `a ${typeName(of)} has no "${name}"`);

/** `of.name`: what Python has under that name, else the item. */
export function attributeOf(of: Value, name: string): Value {
  if (of instanceof Undefined) return of.fail();
  const found = methodOf(of, name);
  if (found !== undefined) return found;
  return valueOr(of instanceof Dict ? of.get(name) : undefined, missing(of, name));
}

/** `of[key]`: the item, else for a text what Python has under that name. */
export function itemOf(of: Value, key: Value): Value {
  if (of instanceof Undefined) return of.fail();
  if (of instanceof Dict) {
    const found = isHashable(key) ? of.get(key) : undefined;
    if (found !== undefined) return found;
  } else if (typeof key === 'number' || typeof key === 'boolean') {
    const items = sequenceOf(of);
    if (items) return valueOr(items.at(Number(key)), missing(of, String(key)));
  }
  return valueOr(
    typeof key === 'string' ? methodOf(of, key) : undefined,
    missing(of, typeof key === 'string' ? key : typeName(key)),
  );
}

const isHashable = (key: Value) => !Array.isArray(key) && !(key instanceof Dict);

/** Values at "a.b.0" of a filter's attribute. */
export function memberPath(of: Value, path: Value, other?: Value): Value {
  const parts: Value[] =
    typeof path === 'string'
      ? path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))
      : [path];
  let value = of;
  for (const part of parts) {
    value = itemOf(value, part);
    if (value instanceof Undefined && other !== undefined) value = other;
  }
  return value;
}

function sequenceOf(of: Value): readonly Value[] | undefined {
  if (typeof of === 'string') return Array.from(of);
  if (Array.isArray(of)) return of;
  if (of instanceof Tuple) return of.items;
  return of instanceof View && of.kind === 'range' ? of.items : undefined;
}

export function sliceOf(of: Value, bounds: readonly (Value | undefined)[]): Value {
  if (of instanceof Undefined) return of.fail();
  const items = sequenceOf(of);
  if (!items) throw new Error(`a ${typeName(of)} cannot be sliced`);
  const [start, end, stride] = bounds.map((bound) => {
    if (bound === undefined || bound === null) return undefined;
    if (typeof bound !== 'number') throw new Error('the bounds of a slice must be integers');
    return bound;
  });
  const step = stride ?? 1;
  if (step === 0) throw new Error('the step of a slice cannot be zero');
  const { length } = items;
  const [least, most] = step > 0 ? [0, length] : [-1, length - 1];
  const clamped = (bound: number | undefined, byDefault: number) =>
    bound === undefined ? byDefault : Math.min(most, Math.max(least, bound < 0 ? bound + length : bound));
  const [from, to] = [clamped(start, step > 0 ? 0 : length - 1), clamped(end, step > 0 ? length : -1)];
  const found: Value[] = [];
  for (let i = from; step > 0 ? i < to : i > to; i += step) found.push(items[i] ?? null);
  if (typeof of === 'string') return found.map(str).join('');
  if (Array.isArray(of)) return found;
  return of instanceof Tuple ? new Tuple(found) : new View('range', found, 'range(…)');
}

/** A method or attribute of Python; names that the sandbox hides are undefined and fail on use. */
function methodOf(of: Value, name: string): Value | undefined {
  if (name.startsWith('_')) return new Undefined(`"${name}" is not safe to use in a template`);
  if (of instanceof Namespace) return of.members.get(name);
  if (of instanceof Callable) return of.members.get(name);
  if (of instanceof Markup)
    throw new Error('a Markup is used, which is not supported; put "safe" and "escape" last');
  if (typeof of === 'string') {
    const method = Object.hasOwn(stringMethods, name) ? stringMethods[name] : undefined;
    if (method) return new Callable(name, (given) => method(of, given));
    if (unsupported.includes(name)) throw new Error(`the method "${name}" of texts is not supported`);
    return undefined;
  }
  if (of instanceof Dict) return dictMethod(of, name);
  if (Array.isArray(of) || of instanceof Tuple) return listMethod(of, name);
  if (
    (typeof of === 'number' || of instanceof Float || typeof of === 'boolean') &&
    /^(real|imag|numerator|denominator|conjugate|bit_length|bit_count|as_integer_ratio|is_integer|hex|to_bytes)$/.test(
      name,
    )
  )
    throw new Error(`"${name}" of numbers is not supported`);
  return undefined;
}

const unsupported = [
  'encode',
  'expandtabs',
  'format_map',
  'isidentifier',
  'isprintable',
  'istitle',
  'maketrans',
  'translate',
];

const hidden = (name: string) => new Undefined(`"${name}" changes a value, which a template cannot do`);

function dictMethod(of: Dict, name: string): Value | undefined {
  if (changing.dict.includes(name)) return hidden(name);
  const view = (kind: 'dict_items' | 'dict_keys' | 'dict_values', items: readonly Value[]) =>
    new Callable(name, () => new View(kind, items));
  switch (name) {
    case 'items':
      return view(
        'dict_items',
        of.entries().map((pair) => new Tuple(pair)),
      );
    case 'keys':
      return view('dict_keys', of.keys());
    case 'values':
      return view('dict_values', of.values());
    case 'get':
      return new Callable(name, ({ positional: [key = null, other = null] }) => valueOr(of.get(key), other));
    case 'copy':
      return new Callable(name, () => new Dict(of.entries()));
    case 'fromkeys':
      throw new Error('the method "fromkeys" of dicts is not supported');
    default:
      return undefined;
  }
}

function listMethod(of: readonly Value[] | Tuple, name: string): Value | undefined {
  const items = of instanceof Tuple ? of.items : of;
  if (!(of instanceof Tuple) && changing.list.includes(name)) return hidden(name);
  switch (name) {
    case 'count':
      return new Callable(name, (given) => {
        const [wanted = null] = bind(given, ['value']);
        return items.filter((one) => isEqual(one, wanted)).length;
      });
    case 'index':
      return new Callable(name, ({ positional: [wanted = null] }) => {
        const at = items.findIndex((one) => isEqual(one, wanted));
        if (at < 0) throw new Error('index finds nothing');
        return at;
      });
    case 'copy':
      return of instanceof Tuple ? undefined : new Callable(name, () => [...items]);
    default:
      return undefined;
  }
}
