import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { generateBatch, loadModel, ModelError, openCheckpoint } from '@contextlora/model';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture } from './golden.js';
import { smallGguf, type Value, writeGguf } from './write-gguf.js';

let kernels: Kernels;
let directory: string;
beforeAll(async () => {
  kernels = await openKernels({ prefer: 'reference' });
  directory = await mkdtemp(join(tmpdir(), 'end-ids-'));
});
afterAll(async () => {
  kernels.dispose();
  await rm(directory, { recursive: true, force: true });
});

/** llama-tiny with changed files: null removes a file, and keys are merged into it. */
async function modelWith(files: Readonly<Record<string, object | null>>): Promise<string> {
  const path = await mkdtemp(join(directory, 'model-'));
  await cp(fixture('llama-tiny'), path, { recursive: true });
  for (const [name, change] of Object.entries(files)) {
    const file = join(path, name);
    if (change === null) await rm(file);
    else
      await writeFile(
        file,
        JSON.stringify({ ...(JSON.parse(await readFile(file, 'utf8')) as object), ...change }),
      );
  }
  return path;
}

async function answerOf(path: string) {
  const model = await loadModel(path, { kernels });
  const rows = generateBatch(model, [{ prompt: [1, 5], maximumNewTokens: 8 }]);
  for (;;) {
    const { done, value } = await rows.next();
    if (!done) continue;
    model.dispose();
    return { endIds: model.endIds, ...value[0]! };
  }
}

test('an answer ends at any id listed in generation_config.json, or in config.json if there is no such file', async () => {
  const plain = await answerOf(fixture('llama-tiny'));
  expect(plain).toMatchObject({ endIds: [2], finish: 'length' });
  const at = plain.ids.findLastIndex((id, i) => plain.ids.indexOf(id) === i);
  expect(at).toBeGreaterThan(0);
  const list = { eos_token_id: [96, plain.ids[at]] };
  for (const files of [
    { 'generation_config.json': list },
    { 'generation_config.json': null, 'config.json': list },
  ])
    expect(await answerOf(await modelWith(files))).toMatchObject({
      endIds: [2, 96, plain.ids[at]],
      finish: 'end',
      ids: plain.ids.slice(0, at),
    });
});

test('generation_config.json takes precedence over config.json, even if it names no id', async () => {
  const path = await modelWith({
    'generation_config.json': { eos_token_id: null },
    'config.json': { eos_token_id: 7 },
  });
  expect(await answerOf(path)).toMatchObject({ endIds: [2] });
});

test.each([['"two"'], ['[2,null]'], ['[[2]]'], ['-1'], ['1.5']])(
  'eos_token_id %s is refused with the file’s name',
  async (value) => {
    const path = await modelWith({
      'generation_config.json': { eos_token_id: JSON.parse(value) as unknown },
    });
    const attempt = openCheckpoint(path);
    await expect(attempt).rejects.toThrow(
      `${join(path, 'generation_config.json')}: "eos_token_id" is ${value === '"two"' ? 'two' : value}; it must be an id or a list of ids`,
    );
    await expect(attempt).rejects.toBeInstanceOf(ModelError);
  },
);

const ggufEnds = async (metadata: readonly (readonly [string, Value])[]) => {
  const path = join(directory, 'ends.gguf');
  const keys = new Set(metadata.map(([key]) => key));
  const others = smallGguf.metadata.filter(([key]) => !keys.has(key) && !key.endsWith('eos_token_id'));
  await writeFile(path, writeGguf({ ...smallGguf, metadata: [...others, ...metadata] }));
  const { endIds, weights } = await openCheckpoint(path);
  await weights.close();
  return endIds;
};

test('the end-of-text, end-of-turn and end-of-message tokens of a GGUF file all end an answer', async () => {
  const ends = [
    ['tokenizer.ggml.eos_token_id', { type: 'u32', value: 1 }],
    ['tokenizer.ggml.eot_token_id', { type: 'u32', value: 2 }],
    ['tokenizer.ggml.eom_token_id', { type: 'u32', value: 4 }],
  ] as const;
  expect(await ggufEnds(ends)).toEqual([1, 2, 4]);
});

test('a GGUF file without a named end-of-turn token uses a control token with a usual name', async () => {
  const tokens = ['a', '<|im_end|>', '<|eot_id|>', 'b', '<|end|>'];
  const withTypes = (types: readonly number[]) =>
    [
      ['tokenizer.ggml.tokens', { type: 'texts', value: tokens }],
      ['tokenizer.ggml.token_type', { type: 'i32s', value: types }],
      ['tokenizer.ggml.eos_token_id', { type: 'u32', value: 3 }],
    ] as const;
  expect(await ggufEnds(withTypes([1, 3, 3, 1, 1]))).toEqual([3, 2, 1]);
  expect(await ggufEnds(withTypes([1, 1, 1, 1, 1]))).toEqual([3]);
  expect(
    await ggufEnds([
      ...withTypes([1, 3, 3, 1, 1]),
      ['tokenizer.ggml.eot_token_id', { type: 'u32', value: 4 }],
    ]),
  ).toEqual([3, 4]);
});
