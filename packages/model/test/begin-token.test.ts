import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { generate, loadModel, openCheckpoint, promptIds } from '@contextlora/model';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fixture } from './golden.js';
import { smallGguf, type Value, writeGguf } from './write-gguf.js';

let kernels: Kernels;
let directory: string;
beforeAll(async () => {
  kernels = await openKernels({ prefer: 'reference' });
  directory = await mkdtemp(join(tmpdir(), 'begin-'));
});
afterAll(async () => {
  kernels.dispose();
  await rm(directory, { recursive: true, force: true });
});

const template = {
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: '<|im_start|>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [],
  special_tokens: { '<|im_start|>': { id: '<|im_start|>', ids: [1], tokens: ['<|im_start|>'] } },
};

/** smolvlm-tiny with a changed tokenizer. */
async function modelWith(json: object, config: object) {
  const path = await mkdtemp(join(directory, 'tokenizer-'));
  for (const [name, change] of [
    ['tokenizer.json', json],
    ['tokenizer_config.json', config],
  ] as const) {
    const original = JSON.parse(await readFile(fixture('smolvlm-tiny', name), 'utf8')) as object;
    await writeFile(join(path, name), JSON.stringify({ ...original, ...change }));
  }
  return loadModel(fixture('smolvlm-tiny'), { kernels, tokenizerDirectory: path });
}

// What AutoTokenizer of transformers 5.24 adds; version 4 also followed the flag, version 5 does not read it beside a tokenizer.json.
describe.each([
  ['a post-processor without it', {}, {}, false],
  ['a post-processor with it', { post_processor: template }, {}, true],
  ['add_bos_token true', {}, { add_bos_token: true }, false],
  ['add_bos_token false', {}, { add_bos_token: false }, false],
  [
    'a post-processor with it and add_bos_token false',
    { post_processor: template },
    { add_bos_token: false },
    true,
  ],
  ['a post-processor with it, and no begin token', { post_processor: template }, { bos_token: null }, true],
] as const)('a tokenizer with %s', (_, json, config, adds) => {
  test(`${adds ? 'begins' : 'does not begin'} a prompt with the begin token`, async () => {
    const model = await modelWith(json, config);
    const text = model.tokenizer.encode('the road');
    expect(text).not.toContain(1);
    const begin = adds ? [1] : [];
    expect(promptIds(model, { prompt: 'the road' })).toEqual([...begin, ...text]);
    const { tokenCount, imageTokenId } = model.spec.vision!;
    expect(promptIds(model, { prompt: 'the road', image: 'x.png' })).toEqual([
      ...begin,
      ...new Array<number>(tokenCount).fill(imageTokenId),
      ...text,
    ]);
    expect(promptIds(model, { prompt: '' })).toEqual([1]);
    const { value } = await generate(model, 'the road', { maximumNewTokens: 0 }).next();
    expect(value).toMatchObject({ promptTokens: begin.length + text.length });
    model.dispose();
  });
});

test.each([
  ['a byte-level tokenizer', {}, undefined, false],
  ['one of Llama 3', { 'tokenizer.ggml.pre': { type: 'text', value: 'llama-bpe' } }, undefined, true],
  ['one that says so', {}, true, true],
  [
    'one of Llama 3 that says not',
    { 'tokenizer.ggml.pre': { type: 'text', value: 'llama-bpe' } },
    false,
    false,
  ],
] as const)('%s of a GGUF file adds the begin token like llama.cpp', async (_, metadata, flag, adds) => {
  const path = join(directory, 'file.gguf');
  const changed: Record<string, Value> = {
    'tokenizer.ggml.bos_token_id': { type: 'u32', value: 1 },
    ...metadata,
    ...(flag === undefined
      ? {}
      : { 'tokenizer.ggml.add_bos_token': { type: 'raw', kind: 7, bytes: Uint8Array.of(Number(flag)) } }),
  };
  const others = smallGguf.metadata.filter(([key]) => !(key in changed));
  await writeFile(path, writeGguf({ ...smallGguf, metadata: [...others, ...Object.entries(changed)] }));
  const { tokenizer, weights } = await openCheckpoint(path);
  await weights.close();
  expect((await tokenizer()).addsBegin).toBe(adds);
});
