/**
 * The values of a Jinja template, as Python has them: integers are numbers, and what JavaScript lacks has a class. Everything else, a list,
 * a text, a truth value or none, is the value of JavaScript.
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | Float
  | Tuple
  | Dict
  | View
  | Once
  | Undefined
  | Namespace
  | Markup
  | Callable
  | Value[];

/** A Python float; a plain number is an integer. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export class Tuple {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** Text that is not to be escaped again; only printing it is supported. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A range or what a dict's methods return: it can be read again and again. */
export class View {
  readonly kind: 'range' | 'dict_items' | 'dict_keys' | 'dict_values';
  readonly items: readonly Value[];
  /** How a range prints. */
  readonly text: string;
  constructor(kind: View['kind'], items: readonly Value[], text = '') {
    this.kind = kind;
    this.items = items;
    this.text = text;
  }
}

/** A generator: it can be read once. */
export class Once {
  private left: Value[];
  constructor(items: readonly Value[]) {
    this.left = [...items];
  }
  take(count = this.left.length): Value[] {
    return this.left.splice(0, count);
  }
}

/** What is missing: it prints as nothing, and fails when anything else is done with it. */
export class Undefined {
  readonly what: string;
  constructor(what: string) {
    this.what = what;
  }
  fail(): never {
    throw new Error(this.what);
  }
}

/** None is a value, so what is missing is not asked for with `??`. */
export const valueOr = (value: Value | undefined, other: Value): Value =>
  value === undefined ? other : value;

export class Namespace {
  readonly members = new Map<string, Value>();
  set(name: string, value: Value): void {
    if (name.startsWith('_')) throw new Error(`a namespace cannot hold "${name}"`);
    this.members.set(name, value);
  }
}

/** Arguments of a call. */
export interface Given {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

export class Callable {
  readonly name: string;
  readonly call: (given: Given) => Value;
  readonly members: Pick<ReadonlyMap<string, Value>, 'get'>;
  constructor(
    name: string,
    call: (given: Given) => Value,
    members: Callable['members'] = new Map<string, Value>(),
  ) {
    this.name = name;
    this.call = call;
    this.members = members;
  }
}

export class Dict {
  private readonly held = new Map<string, readonly [Value, Value]>();
  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }
  get size(): number {
    return this.held.size;
  }
  get(key: Value): Value | undefined {
    return this.held.get(keyOf(key))?.[1];
  }
  has(key: Value): boolean {
    return this.held.has(keyOf(key));
  }
  set(key: Value, value: Value): void {
    const hash = keyOf(key);
    // As in Python, the first of two equal keys stays.
    this.held.set(hash, [this.held.get(hash)?.[0] ?? key, value]);
  }
  keys(): Value[] {
    return [...this.held.values()].map(([key]) => key);
  }
  values(): Value[] {
    return [...this.held.values()].map(([, value]) => value);
  }
  entries(): (readonly [Value, Value])[] {
    return [...this.held.values()];
  }
}

/** Equal for equal keys: 1, 1.0 and True are one key. */
export function keyOf(value: Value): string {
  if (typeof value === 'string') return `s${value}`;
  if (isNumber(value)) return `n${numberOf(value)}`;
  if (value === null) return 'none';
  if (value instanceof Tuple) return `t${JSON.stringify(value.items.map(keyOf))}`;
  if (value instanceof Undefined) return value.fail();
  throw new Error(`a ${typeName(value)} cannot be a key`);
}

/** Values of the caller: objects become dicts, and whole numbers integers. */
export function fromCaller(value: unknown): Value {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : new Float(value);
  if (Array.isArray(value)) return value.map(fromCaller);
  if (value instanceof Map)
    return new Dict([...value].map(([key, inner]) => [fromCaller(key), fromCaller(inner)] as const));
  if (value instanceof Callable) return value;
  if (typeof value === 'function') {
    const work = value as (...given: unknown[]) => unknown;
    return new Callable(value.name, ({ positional }) => fromCaller(work(...positional)));
  }
  if (typeof value === 'object')
    return new Dict(
      Object.entries(value).flatMap(([key, inner]) =>
        inner === undefined ? [] : [[key, fromCaller(inner)] as const],
      ),
    );
  throw new Error(`a ${typeof value} cannot be given to a template`);
}

export type NumberValue = number | boolean | Float;
/** As in Python, a truth value is a number too. */
export const isNumber = (value: Value): value is NumberValue =>
  typeof value === 'number' || typeof value === 'boolean' || value instanceof Float;
export const numberOf = (value: NumberValue): number =>
  value instanceof Float ? value.value : Number(value);

/** An integer, if it can be held exactly. */
export function integer(value: number): number {
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  throw new Error('it computes an integer that is too large');
}

export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'int';
  if (typeof value === 'string') return 'str';
  if (Array.isArray(value)) return 'list';
  if (value instanceof View) return value.kind;
  const names: readonly (readonly [abstract new (...given: never[]) => object, string])[] = [
    [Float, 'float'],
    [Tuple, 'tuple'],
    [Dict, 'dict'],
    [Once, 'generator'],
    [Undefined, 'Undefined'],
    [Namespace, 'Namespace'],
    [Markup, 'Markup'],
  ];
  return names.find(([type]) => value instanceof type)?.[1] ?? 'function';
}

export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false;
  if (isNumber(value)) return numberOf(value) !== 0;
  if (typeof value === 'string') return value !== '';
  if (value instanceof Markup) return value.text !== '';
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Tuple || value instanceof View) return value.items.length > 0;
  return value instanceof Dict ? value.size > 0 : true;
}

/** The items of what can be iterated over; undefined for the rest. */
export function itemsOf(value: Value): Value[] | undefined {
  if (typeof value === 'string') return Array.from(value);
  if (Array.isArray(value)) return value;
  if (value instanceof Tuple || value instanceof View) return [...value.items];
  if (value instanceof Dict) return value.keys();
  if (value instanceof Once) return value.take();
  return value instanceof Undefined ? [] : undefined;
}

/** @throws Error when the value cannot be iterated over. */
export const iterate = (value: Value): Value[] => {
  const items = itemsOf(value);
  if (items) return items;
  throw new Error(`it iterates over a ${typeName(value)}`);
};

export function lengthOf(value: Value): number {
  if (value instanceof Undefined) return 0;
  if (value instanceof Dict) return value.size;
  if (value instanceof Once || value instanceof Markup) throw new Error(`a ${typeName(value)} has no length`);
  const items = itemsOf(value);
  if (items) return items.length;
  throw new Error(`a ${typeName(value)} has no length`);
}

export function isEqual(left: Value, right: Value): boolean {
  if (isNumber(left) && isNumber(right)) return numberOf(left) === numberOf(right);
  if (left instanceof Markup || right instanceof Markup) return textIn(left) === textIn(right);
  if (Array.isArray(left) && Array.isArray(right)) return areEqual(left, right);
  if (left instanceof Tuple && right instanceof Tuple) return areEqual(left.items, right.items);
  if (left instanceof View && right instanceof View)
    return left.kind === 'range' && right.kind === 'range'
      ? areEqual(left.items, right.items)
      : left === right;
  if (left instanceof Dict && right instanceof Dict)
    return (
      left.size === right.size &&
      left.entries().every(([key, value]) => right.has(key) && isEqual(value, right.get(key) ?? null))
    );
  if (left instanceof Undefined && right instanceof Undefined) return true;
  return left === right;
}

const textIn = (value: Value) => (value instanceof Markup ? value.text : value);

const areEqual = (left: readonly Value[], right: readonly Value[]) =>
  left.length === right.length && left.every((value, i) => isEqual(value, right[i] ?? null));

/** Below zero if the left value comes first. @throws Error when Python cannot compare them. */
export function compare(left: Value, right: Value): number {
  if (left instanceof Undefined) left.fail();
  if (right instanceof Undefined) right.fail();
  if (isNumber(left) && isNumber(right)) return numberOf(left) - numberOf(right);
  if (typeof left === 'string' && typeof right === 'string') return compareTexts(left, right);
  const [p, q] =
    Array.isArray(left) && Array.isArray(right)
      ? [left, right]
      : left instanceof Tuple && right instanceof Tuple
        ? [left.items, right.items]
        : [];
  if (!p || !q) throw new Error(`it compares a ${typeName(left)} with a ${typeName(right)}`);
  for (const [i, value] of p.entries()) {
    const other = q[i];
    if (other === undefined) return 1;
    if (!isEqual(value, other)) return compare(value, other);
  }
  return p.length - q.length;
}

/** In the order of code points, which is not that of UTF-16. */
function compareTexts(left: string, right: string): number {
  const [p, q] = [Array.from(left), Array.from(right)];
  for (const [i, character] of p.entries()) {
    const other = q[i];
    if (other === undefined) return 1;
    if (character !== other) return (character.codePointAt(0) ?? 0) - (other.codePointAt(0) ?? 0);
  }
  return p.length - q.length;
}

export function contains(container: Value, value: Value): boolean {
  if (typeof container === 'string') {
    if (typeof value === 'string') return container.includes(value);
    if (value instanceof Undefined) value.fail();
    throw new Error(`it looks for a ${typeName(value)} in a text`);
  }
  if (container instanceof Dict) return !(value instanceof Undefined) && container.has(value);
  if (container instanceof Markup) throw new Error('a Markup is used, which is not supported');
  return iterate(container).some((one) => isEqual(one, value));
}
