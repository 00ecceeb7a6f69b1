import { expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';

import { compileWasm, sourceOf } from '../assembly/compile.mjs';

test('the shipped wasm module is what its sources compile to', async () => {
  const shipped = await readFile(new URL('../src/wasm/code.ts', import.meta.url), 'utf8');
  // After a change in assembly/: node packages/kernels/assembly/build.mjs
  expect(shipped).toBe(sourceOf(await compileWasm()));
});
