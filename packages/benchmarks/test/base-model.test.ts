import { fileURLToPath } from 'node:url';

import { expect, test } from '@jest/globals';
import { readTokenizer } from '@contextlora/model';

test('prompts of the base model begin with the begin token, like the texts it was trained on', async () => {
  const tokenizer = await readTokenizer(fileURLToPath(new URL('../models/iov-base', import.meta.url)));
  expect([tokenizer.beginId, tokenizer.addsBegin]).toEqual([1, true]);
  expect(tokenizer.encode('what is biggest ?')).toEqual([311, 271, 356, 264]);
});
