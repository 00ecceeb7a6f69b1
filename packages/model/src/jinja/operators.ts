/** The operators of a Jinja template, with Python's rules for types. */
import { percent } from './string-methods.js';
import {
  compare,
  contains,
  Dict,
  Float,
  integer,
  isEqual,
  isNumber,
  numberOf,
  type NumberValue,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

export function compareWith(operator: string, left: Value, right: Value): boolean {
  switch (operator) {
    case '==':
      return isEqual(left, right);
    case '!=':
      return !isEqual(left, right);
    case 'in':
      return contains(right, left);
    case 'not in':
      return !contains(right, left);
    case '<':
      return compare(left, right) < 0;
    case '<=':
      return compare(left, right) <= 0;
    case '>':
      return compare(left, right) > 0;
    default:
      return compare(left, right) >= 0;
  }
}

export function negate(value: Value, operator: '-' | '+'): Value {
  if (!isNumber(value)) return value instanceof Undefined ? value.fail() : wrongType(operator, value);
  const number = operator === '-' ? -numberOf(value) : numberOf(value);
  return value instanceof Float ? new Float(number) : integer(number);
}

export function calculate(operator: string, left: Value, right: Value): Value {
  if (left instanceof Undefined) return left.fail();
  if (typeof left === 'string' && operator === '%') return percent(left, right);
  if (right instanceof Undefined) return right.fail();
  if (isNumber(left) && isNumber(right)) return calculateNumbers(operator, left, right);
  if (operator === '+') {
    if (typeof left === 'string' && typeof right === 'string') return left + right;
    if (Array.isArray(left) && Array.isArray(right)) return [...left, ...right];
    if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
  }
  if (operator === '*') {
    const [sequence, count] = isNumber(left) ? [right, left] : [left, right];
    if (typeof count === 'number' || typeof count === 'boolean')
      return repeat(sequence, Math.max(0, Number(count)), operator);
  }
  if (operator === '|' && left instanceof Dict && right instanceof Dict)
    return new Dict([...left.entries(), ...right.entries()]);
  return wrongType(operator, left, right);
}

/** As for ranges, so that a template cannot fill the memory. */
const longestRepetition = 10_000_000;

function repeat(sequence: Value, count: number, operator: string): Value {
  const length = typeof sequence === 'string' || Array.isArray(sequence) ? sequence.length : 1;
  if (length * count > longestRepetition) throw new Error('it repeats a text or list too often');
  if (typeof sequence === 'string') return sequence.repeat(count);
  if (Array.isArray(sequence)) return Array.from({ length: count }, () => sequence).flat();
  if (sequence instanceof Tuple) return new Tuple(Array.from({ length: count }, () => sequence.items).flat());
  return wrongType(operator, sequence, count);
}

function calculateNumbers(operator: string, left: NumberValue, right: NumberValue): Value {
  const [p, q] = [numberOf(left), numberOf(right)];
  const isFloat = left instanceof Float || right instanceof Float;
  const result = (value: number) => (isFloat ? new Float(value) : integer(value));
  if (q === 0 && ['/', '//', '%'].includes(operator)) throw new Error('it divides by zero');
  switch (operator) {
    case '+':
      return result(p + q);
    case '-':
      return result(p - q);
    case '*':
      return result(p * q);
    case '/':
      return new Float(p / q);
    case '//':
      return result(Math.floor(p / q));
    case '%': {
      // The sign is that of the divisor.
      const rest = p % q;
      if (rest === 0) return result(q < 0 ? -0 : 0);
      return result(rest < 0 !== q < 0 ? rest + q : rest);
    }
    case '**': {
      if (p === 0 && q < 0) throw new Error('it divides by zero');
      // Other powers may differ from Python's in the last digit.
      if (isFloat || q < 0) throw new Error('powers of integers are supported, others are not');
      return integer(p ** q);
    }
    default:
      return wrongType(operator, left, right);
  }
}

function wrongType(operator: string, ...values: Value[]): never {
  throw new Error(
    `"${operator}" does not work with ${values.map((value) => `a ${typeName(value)}`).join(' and ')}`,
  );
}
