/** Renders a parsed Jinja template. */
import { bind } from './arguments.js';
import type { Expression, Signature, Statement, Target } from './ast.js';
import { argumentsOf, call, evaluate } from './evaluate.js';
import { globals } from './globals.js';
import { str } from './python-text.js';
import { openScope, type Scope } from './scope.js';
import {
  Callable,
  Dict,
  fromCaller,
  type Given,
  isEqual,
  isTrue,
  iterate,
  Namespace,
  Tuple,
  Undefined,
  type Value,
  valueOr,
} from './values.js';

/** How a list of statements ended. */
type Ending = 'end' | 'break' | 'continue';

/** @throws Error saying why the template cannot be rendered. */
export function renderTemplate(
  body: readonly Statement[],
  variables: Readonly<Record<string, unknown>>,
): string {
  const scope = openScope();
  for (const [name, value] of Object.entries(globals)) scope.set(name, value);
  for (const [name, value] of Object.entries(variables)) scope.set(name, fromCaller(value));
  return textOf(body, openScope(scope));
}

function textOf(body: readonly Statement[], scope: Scope): string {
  const out: string[] = [];
  run(body, scope, out);
  return out.join('');
}

function run(body: readonly Statement[], scope: Scope, out: string[]): Ending {
  for (const statement of body) {
    const ending = runOne(statement, scope, out);
    if (ending !== 'end') return ending;
  }
  return 'end';
}

function runOne(statement: Statement, scope: Scope, out: string[]): Ending {
  switch (statement.kind) {
    case 'text':
      out.push(statement.text);
      return 'end';
    case 'print':
      out.push(str(evaluate(statement.value, scope)));
      return 'end';
    case 'if': {
      const branch = statement.branches.find(({ test }) => isTrue(evaluate(test, scope)));
      return run(branch?.body ?? statement.otherwise, scope, out);
    }
    case 'for':
      return runFor(statement, { scope, out, over: evaluate(statement.over, scope), depth: 0 });
    case 'set':
      assign(statement.target, evaluate(statement.value, scope), scope);
      return 'end';
    case 'setBlock': {
      const text = textOf(statement.body, openScope(scope));
      assign(statement.target, statement.filter ? filtered(statement.filter, text, scope) : text, scope);
      return 'end';
    }
    case 'macro':
      scope.set(statement.name, macro(statement.name, statement, scope));
      return 'end';
    case 'call': {
      const { call: called } = statement;
      if (called.kind !== 'call') return 'end';
      const caller = macro('caller', statement, scope);
      const { positional, named } = argumentsOf(called.args, scope);
      out.push(
        str(
          call(evaluate(called.callee, scope), {
            positional,
            named: new Map([...named, ['caller', caller]]),
          }),
        ),
      );
      return 'end';
    }
    case 'filterBlock':
      out.push(str(filtered(statement.filter, textOf(statement.body, openScope(scope)), scope)));
      return 'end';
    case 'with': {
      const inner = openScope(scope);
      const values = statement.values.map(([target, value]) => [target, evaluate(value, scope)] as const);
      for (const [target, value] of values) assign(target, value, inner);
      return run(statement.body, inner, out);
    }
    case 'scope':
      return run(statement.body, openScope(scope), out);
    case 'break':
    case 'continue':
      return statement.kind;
  }
}

/** A chain of filters without a value, applied to a text. */
function filtered(filter: Expression, text: string, scope: Scope): Value {
  const withText = (one: Expression): Expression =>
    one.kind === 'filter'
      ? { ...one, of: one.of ? withText(one.of) : { kind: 'constant', value: text } }
      : one;
  return evaluate(withText(filter), scope);
}

function assign(target: Target, value: Value, scope: Scope): void {
  switch (target.kind) {
    case 'name':
      scope.set(target.name, value);
      return;
    case 'member': {
      const namespace = scope.get(target.of);
      if (!(namespace instanceof Namespace))
        throw new Error(`"${target.of}" is no namespace, so "${target.name}" cannot be set`);
      namespace.set(target.name, value);
      return;
    }
    case 'tuple': {
      const items = value instanceof Undefined ? value.fail() : iterate(value);
      if (items.length !== target.items.length)
        throw new Error(`it unpacks ${items.length} values into ${target.items.length} names`);
      for (const [i, one] of target.items.entries()) assign(one, items[i] ?? null, scope);
    }
  }
}

function runFor(
  statement: Extract<Statement, { kind: 'for' }>,
  { scope, out, over, depth }: { scope: Scope; out: string[]; over: Value; depth: number },
): Ending {
  const { target, test, isRecursive, body, otherwise } = statement;
  const items = iterate(over).filter((item) => {
    if (!test) return true;
    const inner = openScope(scope);
    assign(target, item, inner);
    return isTrue(evaluate(test, inner));
  });
  const memory: Memory = {};
  for (let i = 0; i < items.length; i++) {
    const inner = openScope(scope);
    const again = isRecursive
      ? (value: Value) => {
          const nested: string[] = [];
          runFor(statement, { scope, out: nested, over: value, depth: depth + 1 });
          return nested.join('');
        }
      : undefined;
    inner.set('loop', loopAt(items, i, { depth, memory, again }));
    assign(target, items[i] ?? null, inner);
    if (run(body, inner, out) === 'break') break;
  }
  return items.length === 0 ? run(otherwise, openScope(scope), out) : 'end';
}

/** What `loop.changed` was last given. */
interface Memory {
  last?: readonly Value[];
}

function loopAt(
  items: readonly Value[],
  i: number,
  { depth, memory, again }: { depth: number; memory: Memory; again: ((value: Value) => string) | undefined },
): Callable {
  const { length } = items;
  const members: Record<string, Value> = {
    index: i + 1,
    index0: i,
    revindex: length - i,
    revindex0: length - i - 1,
    first: i === 0,
    last: i === length - 1,
    length,
    depth: depth + 1,
    depth0: depth,
    previtem: valueOr(items[i - 1], new Undefined('there is no previous item')),
    nextitem: valueOr(items[i + 1], new Undefined('there is no next item')),
    cycle: new Callable('cycle', ({ positional }) => {
      if (positional.length === 0) throw new Error('cycle needs values');
      return positional[i % positional.length] ?? null;
    }),
    changed: new Callable('changed', ({ positional }) => {
      const isSame = memory.last !== undefined && isEqual([...memory.last], [...positional]);
      memory.last = positional;
      return !isSame;
    }),
  };
  return new Callable(
    'loop',
    ({ positional: [value = null] }) => {
      if (!again) throw new Error('a loop calls itself without "recursive"');
      return again(value);
    },
    new Map(Object.entries(members)),
  );
}

function macro(
  name: string,
  { signature, body }: { signature: Signature; body: readonly Statement[] },
  scope: Scope,
): Callable {
  const { names, defaults } = signature;
  const firstDefault = names.length - defaults.length;
  return new Callable(
    name,
    (given: Given) => {
      const inner = openScope(scope);
      const named = new Map(given.named);
      const caller = named.get('caller');
      if (!names.includes('caller')) named.delete('caller');
      const uses = (special: string) => mentions(body, special);
      const extra = given.positional.slice(names.length);
      const unknown = [...named].filter(([key]) => !names.includes(key));
      if (extra.length > 0 && !uses('varargs'))
        throw new Error(`the macro "${name}" takes ${names.length} arguments`);
      if (unknown.length > 0 && !uses('kwargs'))
        throw new Error(`the macro "${name}" has no argument "${unknown[0]?.[0] ?? ''}"`);
      const known = new Map([...named].filter(([key]) => names.includes(key)));
      const values = bind({ positional: given.positional.slice(0, names.length), named: known }, names);
      inner.set('varargs', new Tuple(extra));
      inner.set('kwargs', new Dict(unknown));
      inner.set('caller', valueOr(caller, new Undefined('there is no caller')));
      for (const [i, parameter] of names.entries()) {
        const byDefault = defaults[i - firstDefault];
        inner.set(
          parameter,
          givenOr(values[i], () =>
            byDefault ? evaluate(byDefault, inner) : new Undefined(`the argument "${parameter}" is missing`),
          ),
        );
      }
      return textOf(body, inner);
    },
    new Map<string, Value>([['name', name]]),
  );
}

const givenOr = (value: Value | undefined, other: () => Value) => (value === undefined ? other() : value);

/** Whether a name is read anywhere in a body. */
function mentions(part: unknown, name: string): boolean {
  if (typeof part !== 'object' || part === null) return false;
  if (
    (part as { kind?: unknown; name?: unknown }).kind === 'name' &&
    (part as { name?: unknown }).name === name
  )
    return true;
  return Object.values(part).some((inner) => mentions(inner, name));
}
