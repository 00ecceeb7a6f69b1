/** Reads the tokens of a template one by one. */
import type { Token, TokenKind } from './lexer.js';

export interface TokenReader {
  /** The next token, undefined after the last. */
  readonly token: Token | undefined;
  /** The token after it. */
  readonly following: Token | undefined;
  next(): void;
  isName(name: string): boolean;
  isOperator(operator: string): boolean;
  skipName(name: string): boolean;
  skipOperator(operator: string): boolean;
  expectName(name: string): void;
  expectOperator(operator: string): void;
  expectKind(kind: TokenKind): Token;
  fail(what: string): never;
}

const ends: Readonly<Partial<Record<TokenKind, string>>> = { end: '%}', printed: '}}', name: 'a name' };

export function openTokenReader(tokens: readonly Token[]): TokenReader {
  let at = 0;
  const is = (kind: TokenKind, text: string) => tokens[at]?.kind === kind && tokens[at]?.text === text;
  const skip = (kind: TokenKind, text: string) => {
    const found = is(kind, text);
    if (found) at++;
    return found;
  };
  const fail = (what: string): never => {
    throw new Error(`line ${tokens[Math.min(at, tokens.length - 1)]?.line ?? 1}: ${what}`);
  };
  const expect = (kind: TokenKind, text: string) => {
    if (!skip(kind, text)) fail(`"${text}" is expected, and "${tokens[at]?.text ?? 'the end'}" found`);
  };
  return {
    get token() {
      return tokens[at];
    },
    get following() {
      return tokens[at + 1];
    },
    next: () => {
      at++;
    },
    isName: (name) => is('name', name),
    isOperator: (operator) => is('operator', operator),
    skipName: (name) => skip('name', name),
    skipOperator: (operator) => skip('operator', operator),
    expectName: (name) => {
      expect('name', name);
    },
    expectOperator: (operator) => {
      expect('operator', operator);
    },
    expectKind: (kind) => {
      const token = tokens[at];
      if (token?.kind !== kind)
        return fail(`${ends[kind] ?? kind} is expected, and "${token?.text ?? 'the end'}" found`);
      at++;
      return token;
    },
    fail,
  };
}
