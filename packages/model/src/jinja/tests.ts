/** The tests of jinja2 (tests.py): what stands after `is`. */
import { compareWith } from './operators.js';
import { str } from './python-text.js';
import { isLower, isUpper } from './string-methods.js';
import {
  Callable,
  Dict,
  Float,
  isNumber,
  itemsOf,
  Markup,
  numberOf,
  Tuple,
  Undefined,
  type Value,
  View,
} from './values.js';

type Test = (value: Value, args: readonly Value[]) => boolean;

const comparison =
  (operator: string): Test =>
  (value, [other = null]) =>
    compareWith(operator, value, other);
const isInteger: Test = (value) => typeof value === 'number';
const remainder = (value: Value, by: number) => {
  if (value instanceof Undefined) value.fail();
  if (!isNumber(value) || by === 0) throw new Error('a test needs a number');
  return ((numberOf(value) % by) + by) % by;
};

export const tests: Readonly<Record<string, Test>> = {
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  true: (value) => value === true,
  false: (value) => value === false,
  boolean: (value) => typeof value === 'boolean',
  integer: isInteger,
  float: (value) => value instanceof Float,
  number: isNumber,
  string: (value) => typeof value === 'string' || value instanceof Markup,
  mapping: (value) => value instanceof Dict,
  sequence: (value) =>
    typeof value === 'string' ||
    Array.isArray(value) ||
    value instanceof Tuple ||
    value instanceof Dict ||
    value instanceof Markup ||
    value instanceof Undefined ||
    (value instanceof View && value.kind === 'range'),
  iterable: (value) => value instanceof Markup || isIterable(value),
  callable: (value) => value instanceof Callable || value instanceof Undefined,
  escaped: (value) => value instanceof Markup,
  lower: (value) => isLower(str(value)),
  upper: (value) => isUpper(str(value)),
  odd: (value) => remainder(value, 2) === 1,
  even: (value) => remainder(value, 2) === 0,
  divisibleby: (value, [by = 0]) => remainder(value, isNumber(by) ? numberOf(by) : 0) === 0,
  sameas: (value, [other = null]) => value === other,
  in: (value, [container = null]) => compareWith('in', value, container),
  eq: comparison('=='),
  equalto: comparison('=='),
  ne: comparison('!='),
  lt: comparison('<'),
  lessthan: comparison('<'),
  le: comparison('<='),
  gt: comparison('>'),
  greaterthan: comparison('>'),
  ge: comparison('>='),
};

/** Asks without reading, because a generator can be read once. */
const isIterable = (value: Value) =>
  typeof value === 'object' && value !== null && 'take' in value ? true : itemsOf(value) !== undefined;
