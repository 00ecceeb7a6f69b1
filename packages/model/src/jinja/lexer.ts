/** Cuts a Jinja template into tokens, with the settings of transformers: `trim_blocks`, `lstrip_blocks`, no trailing newline (jinja2, lexer.py). */

export type TokenKind =
  'data' | 'begin' | 'end' | 'print' | 'printed' | 'name' | 'string' | 'integer' | 'float' | 'operator';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly line: number;
}

/** White space of Python: JavaScript's has U+FEFF and lacks the separators and U+0085. */
export const pythonSpace =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const trailingSpace = new RegExp(`[${pythonSpace}]$`);
const allSpace = new RegExp(`^[${pythonSpace}]+$`);

const opening = /\{%([-+]?)[\s]*raw\s*(-?)%\}|\{([%{#])([-+]?)/g;
const ends = {
  block: new RegExp(`(?:\\+%\\}|-%\\}[${pythonSpace}]*|%\\}\\n?)`, 'y'),
  print: new RegExp(`(?:-\\}\\}[${pythonSpace}]*|\\}\\})`, 'y'),
  comment: new RegExp(`(?:\\+#\\}|-#\\}[${pythonSpace}]*|#\\}\\n?)`, 'g'),
  raw: new RegExp(
    `\\{%([-+]?)[${pythonSpace}]*endraw[${pythonSpace}]*(?:\\+%\\}|-%\\}[${pythonSpace}]*|%\\}\\n?)`,
    'g',
  ),
};
const parts: readonly (readonly [RegExp, TokenKind | undefined])[] = [
  [new RegExp(`[${pythonSpace}]+`, 'y'), undefined],
  [/(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy, 'float'],
  [/0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy, 'integer'],
  [/[\p{L}_\p{Nl}][\p{L}\p{M}\p{N}_]*/uy, 'name'],
  [/'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y, 'string'],
  [/\*\*|\/\/|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y, 'operator'],
];
const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** @throws Error with the line where the template is malformed. */
export function tokenize(template: string): Token[] {
  const lines = template.split(/\r\n|\r|\n/);
  if (lines.at(-1) === '') lines.pop();
  const source = lines.join('\n');
  const tokens: Token[] = [];
  let at = 0;
  let [line, counted] = [1, 0];
  const lineAt = (index: number) => {
    for (; counted < index; counted++) if (source[counted] === '\n') line++;
    return line;
  };
  const fail = (what: string, index: number): never => {
    throw new Error(`line ${lineAt(index)}: ${what}`);
  };
  const add = (kind: TokenKind, text: string, index: number) =>
    tokens.push({ kind, text, line: lineAt(index) });
  let startsLine = true;
  const addData = (text: string, sign: string, { isPrint = false, index = at } = {}) => {
    const kept =
      sign === '-'
        ? withoutTrailingSpace(text)
        : sign === '' && !isPrint
          ? withoutIndent(text, startsLine)
          : text;
    if (kept !== '') add('data', kept, index);
  };
  const advance = (end: number) => {
    startsLine = source[end - 1] === '\n';
    at = end;
  };

  for (;;) {
    opening.lastIndex = at;
    const open = opening.exec(source);
    if (!open) break;
    const [whole, rawSign, rawEnd, kind = '', sign = ''] = open;
    const after = open.index + whole.length;
    if (rawSign !== undefined) {
      addData(source.slice(at, open.index), rawSign);
      const start = rawEnd === '-' ? after + leadingSpace(source, after) : after;
      advance(start);
      ends.raw.lastIndex = start;
      const close = ends.raw.exec(source) ?? fail('{% raw %} is not closed', open.index);
      addData(source.slice(start, close.index), close[1] ?? '');
      advance(close.index + close[0].length);
      continue;
    }
    addData(source.slice(at, open.index), sign, { isPrint: kind === '{' });
    advance(after);
    if (kind === '#') {
      ends.comment.lastIndex = after;
      const close = ends.comment.exec(source) ?? fail('a comment is not closed', open.index);
      advance(close.index + close[0].length);
      continue;
    }
    add(kind === '%' ? 'begin' : 'print', whole, open.index);
    const end = kind === '%' ? ends.block : ends.print;
    const open2: string[] = [];
    for (;;) {
      end.lastIndex = at;
      const close = open2.length === 0 ? end.exec(source) : null;
      if (close) {
        add(kind === '%' ? 'end' : 'printed', close[0], at);
        advance(at + close[0].length);
        break;
      }
      if (at >= source.length) fail(`"${whole}" is not closed`, open.index);
      const found = matchAt(source, at) ?? fail(`"${source.charAt(at)}" is unexpected`, at);
      if (found.kind === 'operator') {
        const closer = closing[found.text];
        if (closer !== undefined) open2.push(closer);
        else if (')]}'.includes(found.text) && open2.pop() !== found.text)
          fail(`"${found.text}" is unexpected`, at);
      }
      if (found.kind === 'string')
        add(
          'string',
          unescaped(found.text.slice(1, -1), (what) => fail(what, at)),
          at,
        );
      else if (found.kind) add(found.kind, found.text, at);
      at += found.text.length;
    }
  }
  if (at < source.length) add('data', source.slice(at), at);
  return tokens;
}

function matchAt(source: string, at: number): { kind: TokenKind | undefined; text: string } | undefined {
  for (const [pattern, kind] of parts) {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (match) return { kind, text: match[0] };
  }
  return undefined;
}

function withoutTrailingSpace(text: string): string {
  let end = text.length;
  while (end > 0 && trailingSpace.test(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

function leadingSpace(source: string, at: number): number {
  let end = at;
  while (end < source.length && trailingSpace.test(source.charAt(end))) end++;
  return end - at;
}

/** Without the white space of the last line, if there is nothing else on it. */
function withoutIndent(text: string, startsLine: boolean): string {
  const start = text.lastIndexOf('\n') + 1;
  return (start > 0 || startsLine) && allSpace.test(text.slice(start)) ? text.slice(0, start) : text;
}

const escapes: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Python's escapes; an unknown one stays as it is. */
function unescaped(text: string, fail: (what: string) => never): string {
  return text.replace(
    /\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([\s\S]))/g,
    (whole, octal?: string, x?: string, u?: string, wide?: string, one?: string) => {
      if (octal !== undefined) return String.fromCodePoint(parseInt(octal, 8));
      const hex = x ?? u ?? wide;
      if (hex !== undefined) {
        const code = parseInt(hex, 16);
        return code > 0x10ffff ? fail(`"${whole}" is not a character`) : String.fromCodePoint(code);
      }
      if (one !== undefined && 'xuUN'.includes(one)) return fail(`the escape "${whole}" is not supported`);
      return escapes[one ?? ''] ?? whole;
    },
  );
}
