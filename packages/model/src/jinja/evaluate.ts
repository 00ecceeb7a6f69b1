/** Computes the expressions of a Jinja template. */
import type { Arguments, Expression } from './ast.js';
import { runFilter, runTest } from './filters.js';
import { attributeOf, itemOf, sliceOf } from './members.js';
import { calculate, compareWith, negate } from './operators.js';
import { str } from './python-text.js';
import type { Scope } from './scope.js';
import {
  Callable,
  Dict,
  Float,
  type Given,
  isTrue,
  iterate,
  Markup,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

export function evaluate(expression: Expression, scope: Scope): Value {
  const valueOf = (inner: Expression) => evaluate(inner, scope);
  switch (expression.kind) {
    case 'constant':
      return expression.isFloat === true ? new Float(Number(expression.value)) : expression.value;
    case 'name':
      return nameIn(scope, expression.name);
    case 'list':
      return expression.items.map(valueOf);
    case 'tuple':
      return new Tuple(expression.items.map(valueOf));
    case 'dict':
      return new Dict(expression.entries.map(([key, value]) => [valueOf(key), valueOf(value)] as const));
    case 'attribute':
      return attributeOf(valueOf(expression.of), expression.name);
    case 'item': {
      const { key } = expression;
      const of = valueOf(expression.of);
      return key.kind === 'slice'
        ? sliceOf(
            of,
            key.bounds.map((bound) => bound && valueOf(bound)),
          )
        : itemOf(of, valueOf(key));
    }
    case 'slice':
      throw new Error('a slice stands where a value is expected');
    case 'call':
      return call(valueOf(expression.callee), argumentsOf(expression.args, scope));
    case 'filter': {
      const value = expression.of ? valueOf(expression.of) : null;
      return runFilter(expression.name, value, argumentsOf(expression.args, scope));
    }
    case 'test': {
      const value = valueOf(expression.of);
      return runTest(expression.name, value, argumentsOf(expression.args, scope).positional);
    }
    case 'unary': {
      const value = valueOf(expression.of);
      return expression.operator === 'not' ? !isTrue(value) : negate(value, expression.operator);
    }
    case 'binary': {
      const left = valueOf(expression.left);
      if (expression.operator === 'and') return isTrue(left) ? valueOf(expression.right) : left;
      if (expression.operator === 'or') return isTrue(left) ? left : valueOf(expression.right);
      return calculate(expression.operator, left, valueOf(expression.right));
    }
    case 'compare': {
      let left = valueOf(expression.first);
      for (const [operator, inner] of expression.rest) {
        const right = valueOf(inner);
        if (!compareWith(operator, left, right)) return false;
        left = right;
      }
      return true;
    }
    case 'concat': {
      const values = expression.items.map(valueOf);
      if (values.some((value) => value instanceof Markup))
        throw new Error('a Markup is used, which is not supported; put "safe" and "escape" last');
      return values.map(str).join('');
    }
    case 'choice':
      if (isTrue(valueOf(expression.test))) return valueOf(expression.then);
      return expression.otherwise
        ? valueOf(expression.otherwise)
        : new Undefined('a choice without "else" has no value');
  }
}

/** What Jinja has under these names is not supported. */
const unsupported = ['self', 'super', 'lipsum'];

function nameIn(scope: Scope, name: string): Value {
  const value = scope.get(name);
  if (value !== undefined) return value;
  if (unsupported.includes(name)) throw new Error(`"${name}" is not supported`);
  return new Undefined(`"${name}" is undefined`);
}

/** @throws Error when the value cannot be called. */
export function call(value: Value, given: Given): Value {
  if (value instanceof Callable) return value.call(given);
  if (value instanceof Undefined) return value.fail();
  throw new Error(`a ${typeName(value)} cannot be called`);
}

export function argumentsOf({ positional, named, star, doubleStar }: Arguments, scope: Scope): Given {
  const values = positional.map((one) => evaluate(one, scope));
  const names = new Map(named.map(([name, one]) => [name, evaluate(one, scope)]));
  if (star) values.push(...iterate(evaluate(star, scope)));
  if (doubleStar) {
    const more = evaluate(doubleStar, scope);
    if (!(more instanceof Dict)) throw new Error('"**" needs a dict');
    for (const [name, value] of more.entries()) names.set(str(name), value);
  }
  return { positional: values, named: names };
}
