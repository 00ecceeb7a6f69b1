import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Kernels, openKernels } from '@contextlora/kernels';
import { composeTask, initialiseSegments, partitionRanks } from '@contextlora/lora';
import { readPeftFolder, readSafetensors, writeSafetensors } from '@contextlora/lora/files';
import { float32Tensor } from '@contextlora/lora/safetensors';
import {
  generate,
  languageLogits,
  linearsOf,
  type LoadedModel,
  loadModel,
  uploadAdapter,
  withAdapter,
  withReplacedWeights,
} from '@contextlora/model';

import { fixture } from './golden.js';

let kernels: Kernels;
let directory: string;
const bases = new Map<string, LoadedModel>();
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'model-adapters-'));
  kernels = await openKernels({ prefer: 'wasm' });
  for (const name of ['llama-tiny', 'qwen2-tiny', 'llava-tiny', 'smolvlm-tiny'])
    bases.set(name, await loadModel(fixture(name), { kernels, tokenizerDirectory: fixture('llama-tiny') }));
});
afterAll(async () => {
  for (const base of bases.values()) base.dispose();
  kernels.dispose();
  await rm(directory, { recursive: true, force: true });
});
const baseOf = (name: string) => bases.get(name)!;
const read = (name: string) => readPeftFolder(fixture('adapters', name));

const logits = (model: LoadedModel, segments = {}) => {
  const ids = Int32Array.of(5, 6, 7, 8);
  const result = languageLogits(
    model,
    { batch: 1, time: ids.length, ids, images: [] },
    { head: { rows: Int32Array.of(1, 3) }, ...segments },
  );
  const values = result.dataSync().slice();
  result.dispose();
  return values;
};

/** A copy of an adapter whose files have been changed. */
async function changed(name: string, { settings = {}, drop = /(?!)/ }: { settings?: object; drop?: RegExp }) {
  const folder = await mkdtemp(join(directory, 'changed-'));
  await cp(fixture('adapters', name), folder, { recursive: true });
  const path = join(folder, 'adapter_config.json');
  const config = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...config, ...settings }));
  const weights = join(folder, 'adapter_model.safetensors');
  const { tensors } = await readSafetensors(weights);
  await writeSafetensors(
    weights,
    [...tensors].filter(([key]) => !drop.test(key)),
  );
  return folder;
}

test.each(['pissa', 'pissa_niter_4', 'olora'])(
  'an adapter of %s, which PEFT would load by changing the base, is refused with the way out',
  async (name) => {
    await expect(read(name)).rejects.toThrow(
      new RegExp(`init_lora_weights is "${name}".*path_initial_model_for_weight_conversion`),
    );
  },
);

test.each([
  'saved-embedding',
  'saved-embedding-tying',
  'saved-head',
  'saved-both',
  'head-llama-tiny',
  'patterns',
])('the answer with adapters/%s is the one that PEFT gives', async (name) => {
  const { prompt, answers } = JSON.parse(await readFile(fixture('adapters/greedy.json'), 'utf8')) as {
    prompt: string;
    answers: Record<string, string>;
  };
  const adapted = withAdapter(baseOf('llama-tiny'), await read(name));
  const { model, segments } = adapted;
  const ids = model.tokenizer.encode(prompt);
  const events = generate(model, ids, { maximumNewTokens: 6, segments });
  for (;;) {
    const { done, value } = await events.next();
    if (!done) continue;
    expect(value.text).toBe(answers[name]);
    break;
  }
  adapted.dispose();
});

describe('an adapter that does not fit is refused with one message', () => {
  test('when its vocabulary has grown: with both numbers of rows', async () => {
    const adapter = await read('grown');
    expect(() => withAdapter(baseOf('llama-tiny'), adapter)).toThrow(
      /"lm_head\.weight" is \[388, 64\], the model's is \[384, 64\]; its vocabulary is another/,
    );
    expect(() => withReplacedWeights(baseOf('llama-tiny'), adapter.replaced)).toThrow(
      /\[388, 64\].*\[384, 64\]/,
    );
  });

  test('when a module that its settings select has no tensors', async () => {
    const folder = await changed('gaussian', { drop: /layers\.1\.self_attn\.v_proj/ });
    const adapter = await readPeftFolder(folder);
    for (const use of [
      () => withAdapter(baseOf('llama-tiny'), adapter),
      () => uploadAdapter(baseOf('llama-tiny').spec, adapter),
    ])
      expect(use).toThrow(/"model\.layers\.1\.self_attn\.v_proj" is selected by target_modules, but/);
  });

  test('when one of a tied pair is missing', async () => {
    const pair = await readPeftFolder(await changed('embedding-tying', { drop: /lm_head/ }));
    expect(() => withAdapter(baseOf('llama-tiny'), pair)).toThrow(/only one of embedding and lm_head/);
    const saved = await readPeftFolder(await changed('saved-embedding-tying', { drop: /lm_head/ }));
    expect(() => withAdapter(baseOf('llama-tiny'), saved)).toThrow(/only one of embedding and lm_head/);
  });

  test('when it was made for another model, whose name it knows, with every problem', async () => {
    const adapter = await read('usual-smolvlm-tiny');
    const use = () => withAdapter(baseOf('llama-tiny'), adapter);
    expect(use).toThrow(/made for another model \("smolvlm-tiny"\)/);
    expect(use).toThrow(/vision_model\.encoder\.layers\.0\.self_attn\.q_proj" is not in the model/);
    expect(use).toThrow(/"model\.layers\.0\.self_attn\.q_proj" is selected by target_modules/);
  });

  test('when a full weight is of the tower, of no module, or half of a module', () => {
    const [tower, bias] = [
      'model.vision_tower.encoder.layers.0.layer_norm1',
      'model.layers.0.self_attn.q_proj',
    ];
    const values = (n: number) => float32Tensor([n], new Float32Array(n));
    expect(() =>
      withReplacedWeights(baseOf('llava-tiny'), {
        [`${tower}.weight`]: values(48),
        'score.weight': values(2),
      }),
    ).toThrow(/layer_norm1\.weight" is of the vision tower[\s\S]*"score\.weight" is not in the model/);
    expect(() => withReplacedWeights(baseOf('qwen2-tiny'), { [`${bias}.bias`]: values(64) })).toThrow(
      /q_proj\.bias" is there without "model.*q_proj\.weight"/,
    );
  });

  test('when a linear is adapted as an embedding, or the other way round', async () => {
    const adapter = await read('embedding-qwen2-tiny');
    const { 'model.embed_tokens': embedding } = adapter.embeddings;
    expect(() =>
      withAdapter(baseOf('qwen2-tiny'), { modules: { 'model.embed_tokens': embedding! } }),
    ).toThrow(/adapted in another way/);
    expect(() =>
      withAdapter(baseOf('qwen2-tiny'), { modules: {}, embeddings: { lm_head: embedding! } }),
    ).toThrow(/adapted in another way/);
  });
});

describe('segments alone', () => {
  test.each([
    ['full weights', 'llama-tiny', 'saved-head', 'lm_head.weight'],
    ['an adapted output matrix', 'llama-tiny', 'head-llama-tiny', 'lm_head'],
    ['an adapted embedding', 'qwen2-tiny', 'embedding-qwen2-tiny', 'model.embed_tokens'],
    [
      'an adapted tower',
      'smolvlm-tiny',
      'usual-smolvlm-tiny',
      'model.vision_model.encoder.layers.0.self_attn.q_proj',
    ],
  ])('are refused when the adapter has %s', async (_, base, name, part) => {
    const adapter = await read(name);
    expect(() => uploadAdapter(baseOf(base).spec, adapter)).toThrow(
      /also changes the model itself.*use withAdapter/,
    );
    expect(() => uploadAdapter(baseOf(base).spec, adapter)).toThrow(`"${part}"`);
  });

  test('are taken for a model that has the full weights', async () => {
    const adapter = await read('saved-embedding');
    const whole = withAdapter(baseOf('llama-tiny'), adapter);
    const model = withReplacedWeights(baseOf('llama-tiny'), adapter.replaced);
    const segments = uploadAdapter(model.spec, adapter);
    expect(logits(model, { segments: segments.byLinear })).toEqual(logits(whole.model, whole));
    for (const part of [segments, model, whole]) part.dispose();
  });

  test('of a composed task need no settings, and leave the base as it is', () => {
    const base = baseOf('llama-tiny');
    const partition = partitionRanks(linearsOf(base.spec), [{ id: 'a', dependsOn: [] }], { rank: 2 });
    const before = logits(base);
    const adapted = withAdapter(base, {
      modules: composeTask(partition, initialiseSegments(partition, { seed: 1 }), 'a'),
    });
    const { model, segments } = adapted;
    expect(segments.size).toBe(linearsOf(base.spec).length);
    expect(logits(model, { segments })).toEqual(before);
    expect(model.spec.text.tiedHead).toBe(true);
    adapted.dispose();
    expect(logits(base)).toEqual(before);
  });
});

test('a replaced embedding of a tied model leaves its output matrix, and a base matrix of the file moves both', async () => {
  const base = baseOf('llama-tiny');
  const own = withReplacedWeights(base, (await read('saved-embedding')).replaced);
  expect(own.head).toBe(base.head);
  expect(own.embedding).not.toBe(base.embedding);
  expect(own.spec.text.tiedHead).toBe(false);
  const shared = withReplacedWeights(base, (await read('saved-unlisted')).replaced);
  expect(shared.head).toEqual(shared.embedding);
  expect(shared.head).not.toEqual(base.head);
  own.dispose();
  shared.dispose();
});
