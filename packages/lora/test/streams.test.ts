import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openSafetensors, writeChunks, writeWhole } from '@contextlora/lora/files';
import {
  encodeSafetensors,
  float32Tensor,
  fromFloat32,
  streamSafetensors,
  toFloat32,
} from '@contextlora/lora/safetensors';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lora-streams-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const tensors = new Map([
  ['b', float32Tensor([2, 1], Float32Array.of(1, 2))],
  ['a', fromFloat32('BF16', [3], Float32Array.of(1, 2, 3))],
]);
const sources = new Map(
  [...tensors].map(([name, { bytes, ...tensor }]) => [
    name,
    { ...tensor, bytes: () => Promise.resolve(bytes) },
  ]),
);

test('a file streamed tensor by tensor has the bytes of one encoded at once, and is read tensor by tensor', async () => {
  const path = join(directory, 'x.safetensors');
  const sizes: number[] = [];
  for await (const bytes of writeChunks(path, streamSafetensors(sources, { format: 'pt' })))
    sizes.push(bytes);
  const whole = encodeSafetensors(tensors, { format: 'pt' });
  expect(new Uint8Array(await readFile(path))).toEqual(whole);
  expect(sizes).toEqual([whole.length - 14, whole.length - 8, whole.length]);
  const file = await openSafetensors(path);
  expect([...file.entries.keys()]).toEqual(['a', 'b']);
  expect(toFloat32(await file.read('a'))).toEqual(Float32Array.of(1, 2, 3));
  await expect(file.read('c')).rejects.toMatchObject({ code: 'LORA_TENSOR_UNUSABLE' });
  await file.close();
});

test('a file whose writing ends early, or fails, keeps what it held', async () => {
  const path = join(directory, 'kept.txt');
  await writeWhole(path, 'old');
  const early = writeChunks(path, [Buffer.from('ne'), Buffer.from('w')]);
  await early.next();
  await early.return();
  const failing = async function* () {
    yield await Promise.resolve(Buffer.from('new'));
    throw new Error('the source ended');
  };
  const drain = async () => {
    const writing = writeChunks(path, failing());
    while (!(await writing.next()).done);
  };
  await expect(drain()).rejects.toThrow('the source ended');
  expect(await readFile(path, 'utf8')).toBe('old');
  expect(await readdir(directory)).not.toContain('kept.txt.partial');
});

test.each(['F16', 'BF16'] as const)('%s is the nearest number of its kind, to even between two', (dtype) => {
  const round = (value: number) => toFloat32(fromFloat32(dtype, [1], Float32Array.of(value)))[0]!;
  const [digits, smallest] = dtype === 'F16' ? [11, 2 ** -24] : [8, 2 ** -133];
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true, min: -60000, max: 60000 }), (value) => {
      const rounded = round(value);
      const step = Math.max(smallest, 2 ** (Math.floor(Math.log2(Math.abs(value) || 1e-300)) - digits + 1));
      expect(Math.abs(rounded - value)).toBeLessThanOrEqual(step / 2);
      // What is of its kind stays, to the bit.
      expect(round(rounded)).toBe(rounded);
      expect(Object.is(Math.sign(rounded), Math.sign(value)) || rounded === 0).toBe(true);
    }),
  );
  const ulp = 2 ** (1 - digits);
  expect([round(1 + ulp / 2), round(1 + 1.5 * ulp)]).toEqual([1, 1 + 2 * ulp]);
  expect([round(Infinity), round(-Infinity), round(NaN), round(-0)]).toEqual([Infinity, -Infinity, NaN, -0]);
  expect([round(65519), round(65520)]).toEqual(dtype === 'F16' ? [65504, Infinity] : [65536, 65536]);
});

test('numbers are not written as whole ones', () => {
  expect(() => fromFloat32('I64', [1], Float32Array.of(1))).toThrow(/numbers are not written as I64/);
});
