import { expect, test } from '@jest/globals';
import { ModelError, openTokenizer, renderChat } from '@contextlora/model';
import { readFile } from 'node:fs/promises';

import { fixture } from './golden.js';

const json = JSON.parse(await readFile(fixture('llama-tiny', 'tokenizer.json'), 'utf8')) as object;
const opened = (change: object) =>
  openTokenizer({ json: { ...json, ...change }, config: {} }, 'tokenizer.json', { limitMilliseconds: 200 });
const split = (Regex: unknown) => ({
  pre_tokenizer: { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
});

test.each([
  ['splits', split('(a+)+$')],
  [
    'normalises',
    {
      normalizer: {
        type: 'Sequence',
        normalizers: [{ type: 'Replace', pattern: { Regex: '^(\\w|a)+$' }, content: '' }],
      },
    },
  ],
])('an endless regular expression by which a tokenizer %s is aborted', (_, change) => {
  const tokenizer = opened(change);
  expect(tokenizer.encode('ab ab').length).toBeGreaterThan(0);
  const attempt = () => tokenizer.encode(`${'a'.repeat(50)}!`);
  expect(attempt).toThrow(
    /^model\/readTokenizer: tokenizer\.json: its regular expressions need more than 251 ms for 51 characters/,
  );
  // An aborted text does not affect the next one.
  expect(tokenizer.encode('ab ab').length).toBeGreaterThan(0);
});

test('a decoder’s regular expression is also limited', () => {
  const decoder = { type: 'Replace', pattern: { Regex: '^(a|a)+$' }, content: '' };
  const tokenizer = opened({
    decoder,
    added_tokens: [{ id: 384, content: `${'a'.repeat(50)}!`, special: true }],
  });
  expect(() => tokenizer.decode([384])).toThrow('need more than 201 ms for 1 characters or tokens');
});

test.each([
  [
    'long',
    split('a'.repeat(10_001)),
    'a regular expression has 10001 characters, and at most 10000 are read',
  ],
  ['that cannot be compiled', split('(a'), 'tokenizer.json is not a readable tokenizer (Invalid regular'],
])('a regular expression %s is refused', (_, change, message) => {
  const attempt = () => opened(change).encode('aaaaa');
  expect(attempt).toThrow(message);
  expect(attempt).toThrow(ModelError);
});

test.each([
  ['{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}', 'more than 200 ms'],
  ['{% for i in range(1000000000) %}{% endfor %}', 'its range has more than 100000 numbers'],
])('the chat template %s is aborted', (template, message) => {
  const tokenizer = { chatTemplate: template, specialTokens: {} };
  const attempt = () =>
    renderChat(tokenizer, [{ role: 'user', content: 'hello' }], { limitMilliseconds: 200 });
  expect(attempt).toThrow(`model/renderChat: the chat template fails: `);
  expect(attempt).toThrow(message);
});
