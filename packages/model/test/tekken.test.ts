import { expect, test } from '@jest/globals';
import { readTokenizer, renderChat } from '@contextlora/model';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture } from './golden.js';

test('a tekken.json gives the ids of mistral-common', async () => {
  const folder = fixture('tekken');
  const tokenizer = await readTokenizer(folder);
  const chats = JSON.parse(await readFile(join(folder, 'chat.json'), 'utf8')) as {
    content: { type: 'audio' | 'text'; text: string }[];
    answer: string;
    prompt_ids: number[];
  }[];
  for (const { content, prompt_ids: expected } of chats) {
    const text = renderChat(tokenizer, [{ role: 'user', content }]);
    const [audio] = [tokenizer.idOf('[AUDIO]')];
    const ids = tokenizer.encode(text);
    // There the one audio token is already repeated.
    expect(ids).toEqual(expected.filter((id, at) => id !== audio || expected[at - 1] !== audio));
    expect(tokenizer.decode(expected.slice(3), { skipSpecialTokens: true })).toBe(content.at(-1)!.text);
  }
  const odd = 'Où ? 12 345 \u{1f600}\n\n  x';
  expect(tokenizer.decode(tokenizer.encode(odd))).toBe(odd);
  expect([tokenizer.beginId, tokenizer.endId, tokenizer.padId]).toEqual([1, 2, 11]);
});

test.each([
  [{ vocab: [], special_tokens: {} }, '"vocab" and "special_tokens" must be lists'],
  [{ vocab: [{ rank: 1, token_bytes: 'AA==' }] }, '"vocab" has {"rank":1,"token_bytes":"AA=="} at rank 0'],
  [
    { config: { pattern: 3, default_vocab_size: 386, default_num_special_tokens: 36 } },
    '"pattern" is 3, and must be a text',
  ],
])('a tekken.json that is damaged is refused: %j', async (change, problem) => {
  const folder = await mkdtemp(join(tmpdir(), 'tekken-'));
  const own = JSON.parse(await readFile(fixture('tekken', 'tekken.json'), 'utf8')) as object;
  await writeFile(join(folder, 'tekken.json'), JSON.stringify({ ...own, ...change }));
  await expect(readTokenizer(folder)).rejects.toThrow(problem);
  await rm(folder, { recursive: true });
});
