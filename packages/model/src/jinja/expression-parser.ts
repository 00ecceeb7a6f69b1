/** Parses the expressions of a Jinja template, with the order of operations of jinja2 (parser.py). */
import type { Arguments, Expression } from './ast.js';
import type { TokenReader } from './token-reader.js';

export function parseExpression(reader: TokenReader): Expression {
  let value = parseOr(reader);
  while (reader.skipName('if')) {
    const test = parseOr(reader);
    const otherwise = reader.skipName('else') ? parseExpression(reader) : undefined;
    value = { kind: 'choice', test, then: value, otherwise };
  }
  return value;
}

/** One expression, or several with commas between them. */
export function parseTuple(
  reader: TokenReader,
  {
    withChoice = true,
    ends = [],
    isInParentheses = false,
  }: { withChoice?: boolean; ends?: readonly string[]; isInParentheses?: boolean } = {},
): Expression {
  const items: Expression[] = [];
  let isTuple = false;
  for (;;) {
    const { token } = reader;
    if (
      !token ||
      token.kind === 'end' ||
      token.kind === 'printed' ||
      reader.isOperator(')') ||
      ends.some((end) => reader.isName(end))
    )
      break;
    items.push(withChoice ? parseExpression(reader) : parseOr(reader));
    if (!reader.skipOperator(',')) break;
    isTuple = true;
  }
  const [first] = items;
  if (!isTuple && first) return first;
  if (!isTuple && !isInParentheses) return reader.fail('an expression is expected');
  return { kind: 'tuple', items };
}

function parseOr(reader: TokenReader): Expression {
  let left = parseAnd(reader);
  while (reader.skipName('or')) left = { kind: 'binary', operator: 'or', left, right: parseAnd(reader) };
  return left;
}

function parseAnd(reader: TokenReader): Expression {
  let left = parseNot(reader);
  while (reader.skipName('and')) left = { kind: 'binary', operator: 'and', left, right: parseNot(reader) };
  return left;
}

function parseNot(reader: TokenReader): Expression {
  return reader.skipName('not')
    ? { kind: 'unary', operator: 'not', of: parseNot(reader) }
    : parseCompare(reader);
}

const comparisons = ['==', '!=', '<', '<=', '>', '>='];

function parseCompare(reader: TokenReader): Expression {
  const first = parseSum(reader);
  const rest: [string, Expression][] = [];
  for (;;) {
    const { token, following } = reader;
    if (token?.kind === 'operator' && comparisons.includes(token.text)) {
      reader.next();
      rest.push([token.text, parseSum(reader)]);
    } else if (reader.skipName('in')) rest.push(['in', parseSum(reader)]);
    else if (reader.isName('not') && following?.kind === 'name' && following.text === 'in') {
      reader.next();
      reader.next();
      rest.push(['not in', parseSum(reader)]);
    } else return rest.length === 0 ? first : { kind: 'compare', first, rest };
  }
}

const binary =
  (operators: readonly string[], parse: (reader: TokenReader) => Expression) =>
  (reader: TokenReader): Expression => {
    let left = parse(reader);
    for (;;) {
      const { token } = reader;
      if (token?.kind !== 'operator' || !operators.includes(token.text)) return left;
      reader.next();
      left = { kind: 'binary', operator: token.text, left, right: parse(reader) };
    }
  };

const parsePower = binary(['**'], (reader) => parseUnary(reader));
const parseProduct = binary(['*', '/', '//', '%'], parsePower);
/** Unlike in other languages, "~" binds tighter than "+" and "-". */
const parseSum = binary(['+', '-'], parseConcat);

function parseConcat(reader: TokenReader): Expression {
  const items = [parseProduct(reader)];
  while (reader.skipOperator('~')) items.push(parseProduct(reader));
  const [first] = items;
  return items.length === 1 && first ? first : { kind: 'concat', items };
}

function parseUnary(reader: TokenReader, withFilter = true): Expression {
  const value: Expression = reader.skipOperator('-')
    ? { kind: 'unary', operator: '-', of: parseUnary(reader, false) }
    : reader.skipOperator('+')
      ? { kind: 'unary', operator: '+', of: parseUnary(reader, false) }
      : parsePrimary(reader);
  const whole = parsePostfix(reader, value);
  return withFilter ? (parseFilters(reader, whole, { withTests: true }) ?? whole) : whole;
}

function parsePrimary(reader: TokenReader): Expression {
  const { token } = reader;
  if (!token) return reader.fail('an expression is expected');
  reader.next();
  switch (token.kind) {
    case 'name':
      return named(token.text);
    case 'string': {
      let value = token.text;
      while (reader.token?.kind === 'string') {
        value += reader.token.text;
        reader.next();
      }
      return { kind: 'constant', value };
    }
    case 'integer': {
      const value = Number(token.text.replaceAll('_', ''));
      return Number.isSafeInteger(value)
        ? { kind: 'constant', value }
        : reader.fail(`the integer ${token.text} is too large`);
    }
    case 'float':
      return { kind: 'constant', value: Number(token.text.replaceAll('_', '')), isFloat: true };
    default:
  }
  switch (token.text) {
    case '(': {
      const inner = parseTuple(reader, { isInParentheses: true });
      reader.expectOperator(')');
      return inner;
    }
    case '[': {
      const items: Expression[] = [];
      while (!reader.isOperator(']')) {
        if (items.length > 0) reader.expectOperator(',');
        if (reader.isOperator(']')) break;
        items.push(parseExpression(reader));
      }
      reader.expectOperator(']');
      return { kind: 'list', items };
    }
    case '{': {
      const entries: [Expression, Expression][] = [];
      while (!reader.isOperator('}')) {
        if (entries.length > 0) reader.expectOperator(',');
        if (reader.isOperator('}')) break;
        const key = parseExpression(reader);
        reader.expectOperator(':');
        entries.push([key, parseExpression(reader)]);
      }
      reader.expectOperator('}');
      return { kind: 'dict', entries };
    }
    default:
      return reader.fail(`"${token.text}" is unexpected`);
  }
}

function named(name: string): Expression {
  if (name === 'true' || name === 'True') return { kind: 'constant', value: true };
  if (name === 'false' || name === 'False') return { kind: 'constant', value: false };
  if (name === 'none' || name === 'None') return { kind: 'constant', value: null };
  return { kind: 'name', name };
}

function parsePostfix(reader: TokenReader, start: Expression): Expression {
  let value = start;
  for (;;) {
    if (reader.skipOperator('.')) {
      const { token } = reader;
      reader.next();
      if (token?.kind === 'name') value = { kind: 'attribute', of: value, name: token.text };
      else if (token?.kind === 'integer')
        value = { kind: 'item', of: value, key: { kind: 'constant', value: Number(token.text) } };
      else return reader.fail('a name or a number is expected after "."');
    } else if (reader.skipOperator('[')) {
      const keys = [parseSubscript(reader)];
      while (reader.skipOperator(',')) keys.push(parseSubscript(reader));
      reader.expectOperator(']');
      const [key] = keys;
      value = {
        kind: 'item',
        of: value,
        key: keys.length === 1 && key ? key : { kind: 'tuple', items: keys },
      };
    } else if (reader.isOperator('(')) value = { kind: 'call', callee: value, args: parseArguments(reader) };
    else return value;
  }
}

function parseSubscript(reader: TokenReader): Expression {
  const bounds: (Expression | undefined)[] = [];
  const bound = () =>
    reader.isOperator(':') || reader.isOperator(']') || reader.isOperator(',')
      ? undefined
      : parseExpression(reader);
  const first = bound();
  if (!reader.skipOperator(':')) return first ?? reader.fail('an index is expected');
  bounds.push(first, bound());
  if (reader.skipOperator(':')) bounds.push(bound());
  return { kind: 'slice', bounds };
}

function parseArguments(reader: TokenReader): Arguments {
  const positional: Expression[] = [];
  const named: [string, Expression][] = [];
  const stars: { star?: Expression; doubleStar?: Expression } = {};
  reader.expectOperator('(');
  let isFirst = true;
  while (!reader.isOperator(')')) {
    if (!isFirst) reader.expectOperator(',');
    if (!isFirst && reader.isOperator(')')) break;
    isFirst = false;
    const wrong = (is: boolean) =>
      is ? reader.fail('the arguments of a call are in a wrong order') : undefined;
    if (reader.skipOperator('*')) {
      wrong(stars.star !== undefined || stars.doubleStar !== undefined);
      stars.star = parseExpression(reader);
    } else if (reader.skipOperator('**')) {
      wrong(stars.doubleStar !== undefined);
      stars.doubleStar = parseExpression(reader);
    } else if (
      reader.token?.kind === 'name' &&
      reader.following?.kind === 'operator' &&
      reader.following.text === '='
    ) {
      wrong(stars.doubleStar !== undefined);
      const name = reader.token.text;
      reader.next();
      reader.next();
      named.push([name, parseExpression(reader)]);
    } else {
      wrong(named.length > 0 || stars.star !== undefined || stars.doubleStar !== undefined);
      positional.push(parseExpression(reader));
    }
  }
  reader.expectOperator(')');
  return { positional, named, ...stars };
}

const none: Arguments = { positional: [], named: [] };

/** Filters, tests and calls after a value; without a value, the filters of a block. */
export function parseFilters(
  reader: TokenReader,
  start: Expression | undefined,
  { isFirst = false, withTests = false }: { isFirst?: boolean; withTests?: boolean } = {},
): Expression | undefined {
  let value = start;
  for (let isStart = isFirst; ; isStart = false) {
    if (isStart || reader.skipOperator('|')) {
      const name = dotted(reader);
      value = {
        kind: 'filter',
        of: value,
        name,
        args: reader.isOperator('(') ? parseArguments(reader) : none,
      };
    } else if (withTests && value && reader.skipName('is')) value = parseTest(reader, value);
    else if (withTests && value && reader.isOperator('('))
      value = { kind: 'call', callee: value, args: parseArguments(reader) };
    else return value;
  }
}

function dotted(reader: TokenReader): string {
  let name = reader.expectKind('name').text;
  while (reader.skipOperator('.')) name += `.${reader.expectKind('name').text}`;
  return name;
}

function parseTest(reader: TokenReader, of: Expression): Expression {
  const isNegated = reader.skipName('not');
  const name = dotted(reader);
  const { token } = reader;
  let args = none;
  if (reader.isOperator('(')) args = parseArguments(reader);
  else if (
    token &&
    (['name', 'string', 'integer', 'float'].includes(token.kind) ||
      (token.kind === 'operator' && '[{'.includes(token.text))) &&
    !['else', 'or', 'and'].some((word) => reader.isName(word))
  ) {
    if (reader.isName('is')) reader.fail('tests cannot be chained with "is"');
    args = { positional: [parsePostfix(reader, parsePrimary(reader))], named: [] };
  }
  const test: Expression = { kind: 'test', of, name, args };
  return isNegated ? { kind: 'unary', operator: 'not', of: test } : test;
}
