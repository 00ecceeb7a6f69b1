/** Parses a Jinja template (jinja2, parser.py), with the tags of transformers: loop controls and `generation`. */
import type { Expression, Signature, Statement, Target } from './ast.js';
import { parseExpression, parseFilters, parseTuple } from './expression-parser.js';
import { tokenize } from './lexer.js';
import { openTokenReader, type TokenReader } from './token-reader.js';

/** @throws Error with the line where the template is malformed, or names a tag that is not supported. */
export function parseTemplate(template: string): Statement[] {
  const reader = openTokenReader(tokenize(template));
  const body = parseBody(reader, [], 0);
  if (reader.token) reader.fail(`"${reader.token.text}" is unexpected`);
  return body;
}

/** Statements up to a tag of one of these names, whose name is the next token, or to the end of the template. */
function parseBody(reader: TokenReader, until: readonly string[], loops: number): Statement[] {
  const body: Statement[] = [];
  for (;;) {
    const { token } = reader;
    if (!token) {
      if (until.length > 0) reader.fail(`{% ${until.join(' %} or {% ')} %} is missing`);
      return body;
    }
    reader.next();
    if (token.kind === 'data') body.push({ kind: 'text', text: token.text });
    else if (token.kind === 'print') {
      body.push({ kind: 'print', value: parseTuple(reader) });
      reader.expectKind('printed');
    } else {
      if (until.some((name) => reader.isName(name))) return body;
      body.push(parseTag(reader, loops));
    }
  }
}

/** A body and its end tag. */
function parseBlock(reader: TokenReader, end: string, loops: number): Statement[] {
  reader.expectKind('end');
  const body = parseBody(reader, [end], loops);
  reader.next();
  reader.expectKind('end');
  return body;
}

function parseTag(reader: TokenReader, loops: number): Statement {
  const tag = reader.expectKind('name').text;
  switch (tag) {
    case 'if':
      return parseIf(reader, loops);
    case 'for':
      return parseFor(reader, loops);
    case 'set':
      return parseSet(reader, loops);
    case 'macro': {
      const name = reader.expectKind('name').text;
      const signature = parseSignature(reader);
      return { kind: 'macro', name, signature, body: parseBlock(reader, 'endmacro', 0) };
    }
    case 'call': {
      const signature = reader.isOperator('(') ? parseSignature(reader) : { names: [], defaults: [] };
      const call = parseExpression(reader);
      if (call.kind !== 'call') return reader.fail('{% call %} needs a call');
      return { kind: 'call', call, signature, body: parseBlock(reader, 'endcall', 0) };
    }
    case 'filter': {
      const filter = parseFilters(reader, undefined, { isFirst: true });
      return filter
        ? { kind: 'filterBlock', filter, body: parseBlock(reader, 'endfilter', 0) }
        : reader.fail('{% filter %} needs a filter');
    }
    case 'with':
      return parseWith(reader, loops);
    // The span of an answer, which matters for training with transformers only; its body is a caller, so its variables are its own.
    case 'generation':
      return { kind: 'scope', body: parseBlock(reader, 'endgeneration', 0) };
    case 'break':
    case 'continue':
      if (loops === 0) return reader.fail(`{% ${tag} %} stands outside a loop`);
      reader.expectKind('end');
      return { kind: tag };
    default:
      return reader.fail(`the tag {% ${tag} %} is not supported`);
  }
}

function parseIf(reader: TokenReader, loops: number): Statement {
  const branches: { test: Expression; body: Statement[] }[] = [];
  for (;;) {
    const test = parseTuple(reader, { withChoice: false });
    reader.expectKind('end');
    const body = parseBody(reader, ['elif', 'else', 'endif'], loops);
    branches.push({ test, body });
    const tag = reader.expectKind('name').text;
    if (tag === 'elif') continue;
    const otherwise = tag === 'else' ? parseBlock(reader, 'endif', loops) : [];
    if (tag === 'endif') reader.expectKind('end');
    return { kind: 'if', branches, otherwise };
  }
}

function parseFor(reader: TokenReader, loops: number): Statement {
  const target = parseTarget(reader, { isInLoop: true });
  reader.expectName('in');
  const over = parseTuple(reader, { withChoice: false, ends: ['recursive'] });
  const test = reader.skipName('if') ? parseExpression(reader) : undefined;
  const isRecursive = reader.skipName('recursive');
  reader.expectKind('end');
  const body = parseBody(reader, ['endfor', 'else'], loops + 1);
  const isElse = reader.expectKind('name').text === 'else';
  const otherwise = isElse ? parseBlock(reader, 'endfor', loops) : [];
  if (!isElse) reader.expectKind('end');
  return { kind: 'for', target, over, test, isRecursive, body, otherwise };
}

function parseSet(reader: TokenReader, loops: number): Statement {
  const target = parseTarget(reader, { withMembers: true, isInLoop: loops > 0 });
  if (reader.skipOperator('=')) {
    const value = parseTuple(reader);
    reader.expectKind('end');
    return { kind: 'set', target, value };
  }
  const filter = parseFilters(reader, undefined);
  return { kind: 'setBlock', target, filter, body: parseBlock(reader, 'endset', loops) };
}

function parseWith(reader: TokenReader, loops: number): Statement {
  const values: [Target, Expression][] = [];
  while (reader.token?.kind !== 'end') {
    if (values.length > 0) reader.expectOperator(',');
    const name = reader.expectKind('name').text;
    reader.expectOperator('=');
    values.push([{ kind: 'name', name }, parseExpression(reader)]);
  }
  return { kind: 'with', values, body: parseBlock(reader, 'endwith', loops) };
}

function parseSignature(reader: TokenReader): Signature {
  const names: string[] = [];
  const defaults: Expression[] = [];
  reader.expectOperator('(');
  while (!reader.isOperator(')')) {
    if (names.length > 0) reader.expectOperator(',');
    names.push(reader.expectKind('name').text);
    if (reader.skipOperator('=')) defaults.push(parseExpression(reader));
    else if (defaults.length > 0) reader.fail('a parameter without a default follows one with a default');
  }
  reader.expectOperator(')');
  return { names, defaults };
}

const constants = ['true', 'false', 'none', 'True', 'False', 'None'];

/** A name, members of a namespace if allowed, or several of them. */
function parseTarget(
  reader: TokenReader,
  { withMembers = false, isInLoop = false }: { withMembers?: boolean; isInLoop?: boolean } = {},
): Target {
  const one = (): Target => {
    if (reader.skipOperator('(')) {
      const inner = parseTarget(reader, { withMembers, isInLoop });
      reader.expectOperator(')');
      return inner;
    }
    const name = reader.expectKind('name').text;
    if (constants.includes(name) || (isInLoop && name === 'loop'))
      return reader.fail(`${name} cannot be set`);
    if (!withMembers || !reader.skipOperator('.')) return { kind: 'name', name };
    return { kind: 'member', of: name, name: reader.expectKind('name').text };
  };
  const first = one();
  if (!reader.isOperator(',')) return first;
  const items = [first];
  while (reader.skipOperator(',')) {
    if (reader.token?.kind !== 'name' && !reader.isOperator('(')) break;
    if (reader.isName('in')) break;
    items.push(one());
  }
  return { kind: 'tuple', items };
}
