import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks, type Roles } from '@contextlora/lora';
import { decodeSafetensors } from '@contextlora/lora/safetensors';
import {
  createLocalModel,
  generate,
  linearsOf,
  loadModel,
  ModelError,
  scoreLabels,
  type LoadedModel,
  type LocalModel,
  type OptimizerOptions,
  type Example,
} from '@contextlora/model';
import * as tf from '@contextlora/kernels/tfjs';

import { fixture } from './golden.js';

let kernels: Kernels;
let model: LoadedModel;
beforeAll(async () => {
  kernels = await openKernels();
  model = await loadModel(fixture('llama-tiny'), { kernels });
});
afterAll(() => {
  model.dispose();
  kernels.dispose();
});

const tasks = [
  { id: 'first', dependsOn: [] },
  { id: 'second', dependsOn: ['first'] },
  { id: 'other', dependsOn: [] },
];
const rolesOfSecond: Roles = { first: 'freeze', second: 'train', other: 'mask' };
const rolesOfFirst: Roles = { first: 'train', second: 'mask', other: 'mask' };

function make(
  over: { only?: Record<string, { from: number; to: number }>; on?: LoadedModel } = {},
): LocalModel {
  const on = over.on ?? model;
  const partition = partitionRanks(linearsOf(on.spec), tasks, {
    rank: 12,
    ...(over.only ? { only: over.only } : {}),
  });
  return createLocalModel(on, {
    partition,
    segments: initialiseSegments(partition, { seed: 1 }),
    // Decoupled decay would move a frozen segment in the optimizer even without a gradient.
    optimizer: { weightDecay: 0.1 },
  });
}

const labels = ['a', 'b', 'c'];
const examples: Example[] = ['red car', 'blue bus', 'green dog', 'old tree', 'wet road', 'dry road'].map(
  (prompt, i) => ({
    prompt,
    answer: labels[i % 3] ?? '',
    labels,
  }),
);

async function trainFor(local: LocalModel, task: string, roles: Roles, steps: number, on = examples) {
  await local.setPhase({ tasks: [task], roles: { [task]: roles } });
  let last = NaN;
  for (let i = 0; i < steps; i++) ({ loss: last } = await local.step(task, [on], { learningRate: 2e-2 }));
  return last;
}

describe('a local model', () => {
  test('learns labels by heart and answers them', async () => {
    const local = make();
    const loss = await trainFor(local, 'first', rolesOfFirst, 40);
    expect(loss).toBeLessThan(0.1);
    const answers = await local.predict('first', examples, { first: 'freeze' });
    expect(answers.map(({ answer }) => answer)).toEqual(examples.map(({ answer }) => answer));
    const sum = (answers[0]?.labelLogProbabilities ?? []).reduce((s, l) => s + Math.exp(l), 0);
    expect(sum).toBeCloseTo(1, 6);
  });

  test('learns a sentence by heart and repeats it', async () => {
    const local = make();
    const sentence: Example[] = [{ prompt: 'tell me', answer: 'the road is wet' }];
    await trainFor(local, 'first', rolesOfFirst, 60, sentence);
    const [said] = await local.predict('first', sentence, { first: 'freeze' });
    expect(said?.answer).toBe('the road is wet');
  });

  test('answers in the form of a schema before it has learned anything, and freely without one', async () => {
    const schema = {
      type: 'object',
      properties: {
        road: { enum: ['dry', 'icy'] },
        tags: { type: 'array', items: { enum: [1] }, maxItems: 1 },
      },
    };
    const free: Example[] = ['red car', 'wet road'].map((prompt) => ({ prompt, answer: '' }));
    const local = make();
    const answers = await local.predict('first', [...free.map((one) => ({ ...one, schema })), ...free], {});
    expect(answers.map(({ answer }) => /^\{"road": "(dry|icy)", "tags": \[1?\]\}$/.test(answer))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test('trains one segment; frozen and masked ones keep every bit', async () => {
    const local = make();
    const before = await Promise.all(tasks.map(({ id }) => local.hashSegment(id)));
    await trainFor(local, 'second', rolesOfSecond, 3);
    const after = await Promise.all(tasks.map(({ id }) => local.hashSegment(id)));
    expect(after.map((hash, i) => hash === before[i])).toEqual([true, false, true]);
  });

  test('has optimizer state for the trained segment only, and none after its phase', async () => {
    const local = make();
    await trainFor(local, 'second', rolesOfSecond, 1);
    const state = await local.saveState();
    expect(Object.keys(state).sort()).toEqual(['optimizer-second.safetensors', 'segments.safetensors']);
    const moments = decodeSafetensors(state['optimizer-second.safetensors'] ?? new Uint8Array()).tensors;
    const own = Object.values(local.segments()['second'] ?? {}).reduce(
      (sum, { a, b }) => sum + a.length + b.length,
      0,
    );
    expect(moments.get('first')?.shape).toEqual([own]);
    await local.setPhase({ tasks: ['first'], roles: { first: rolesOfFirst } });
    expect(Object.keys(await local.saveState())).not.toContain('optimizer-second.safetensors');
  });

  test('hashes the optimizer state of what trains, which every step changes, and has nothing to hash of the others', async () => {
    const local = make();
    expect(await local.hashOptimizer('second')).toBeUndefined();
    await trainFor(local, 'second', rolesOfSecond, 1);
    const first = await local.hashOptimizer('second');
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    for (const { id } of tasks.filter((task) => task.id !== 'second'))
      expect(await local.hashOptimizer(id)).toBeUndefined();
    const saved = await local.saveState();
    await local.step('second', [examples], { learningRate: 2e-2 });
    expect(await local.hashOptimizer('second')).not.toBe(first);
    await local.restoreState(saved);
    expect(await local.hashOptimizer('second')).toBe(first);
  });

  test('changes in a step the segment and optimizer state of its task, and no byte of a sibling in the same phase', async () => {
    const local = make();
    const siblings = {
      first: rolesOfFirst,
      other: { first: 'mask', second: 'mask', other: 'train' },
    } as const;
    await local.setPhase({ tasks: Object.keys(siblings), roles: siblings });
    const stateOf = async (task: string) => [await local.hashSegment(task), await local.hashOptimizer(task)];
    for (const [task, sibling] of [
      ['first', 'other'],
      ['other', 'first'],
      ['first', 'other'],
    ] as const) {
      const [own, others] = [await stateOf(task), await stateOf(sibling)];
      await local.step(task, [examples], { learningRate: 2e-2 });
      const after = await stateOf(task);
      expect(after.map((hash, i) => hash === own[i])).toEqual([false, false]);
      expect(await stateOf(sibling)).toEqual(others);
    }
  });

  test('clips by the norm of the trained segment alone: a frozen one, however large, weakens no step', async () => {
    const trained = async (factor: number) => {
      const partition = partitionRanks(linearsOf(model.spec), tasks, { rank: 12 });
      const segments = initialiseSegments(partition, { seed: 1 });
      // B is zero in an untrained segment, so what A holds changes no output and no gradient of another segment.
      for (const matrices of Object.values(segments['first'] ?? {}))
        matrices.a.forEach((value, i) => (matrices.a[i] = factor * value));
      const local = createLocalModel(model, { partition, segments, optimizer: { clipNorm: 0.01 } });
      await trainFor(local, 'second', rolesOfSecond, 3);
      return local.hashSegment('second');
    };
    expect(await trained(1e4)).toBe(await trained(1));
  });

  test('clips to a norm of 1 unless told otherwise, and never makes a gradient larger', async () => {
    const trained = async (optimizer: OptimizerOptions) => {
      const partition = partitionRanks(linearsOf(model.spec), tasks, { rank: 12 });
      const segments = initialiseSegments(partition, { seed: 1 });
      // Its gradients are above every norm that clips here.
      for (const { a } of Object.values(segments['second'] ?? {}))
        a.forEach((value, i) => (a[i] = 1e3 * value));
      const local = createLocalModel(model, { partition, segments, optimizer });
      await trainFor(local, 'second', rolesOfSecond, 3);
      return local.hashSegment('second');
    };
    const clipped = await trained({});
    expect(clipped).toBe(await trained({ clipNorm: 1 }));
    expect(clipped).not.toBe(await trained({ clipNorm: 2 }));
    expect(await trained({ clipNorm: 1e9 })).toBe(await trained({ clipNorm: 1e12 }));
  });

  test('decays every weight by the rate times the decay, beside what the gradient does', async () => {
    const trained = async (weightDecay: number) => {
      const partition = partitionRanks(linearsOf(model.spec), tasks, { rank: 12 });
      const segments = initialiseSegments(partition, { seed: 1 });
      const local = createLocalModel(model, { partition, segments, optimizer: { weightDecay } });
      await trainFor(local, 'first', rolesOfFirst, 1);
      return { before: segments['first']!, after: local.segments()['first']! };
    };
    const [plain, decayed] = [await trained(0), await trained(0.5)];
    for (const [linear, { a }] of Object.entries(plain.after))
      for (const [i, value] of a.entries())
        expect(decayed.after[linear]!.a[i]).toBeCloseTo(value - 2e-2 * 0.5 * plain.before[linear]!.a[i]!, 7);
  });

  test('starts every phase with step 1, so that the optimizer corrects its fresh moments as in the first', async () => {
    const [alone, later] = [make(), make()];
    await trainFor(later, 'other', { first: 'mask', second: 'mask', other: 'train' }, 5);
    for (const local of [alone, later]) await trainFor(local, 'first', rolesOfFirst, 3);
    expect(await later.hashSegment('first')).toBe(await alone.hashSegment('first'));
  });

  test('answers an unrelated task with the same bits after another was trained', async () => {
    const local = make();
    const ask = async () =>
      (await local.predict('first', examples, { first: 'freeze' })).map((a) => a.labelLogProbabilities);
    await trainFor(local, 'first', rolesOfFirst, 3);
    const before = await ask();
    await trainFor(local, 'second', rolesOfSecond, 3);
    expect(await ask()).toEqual(before);
  });

  test('gives the same bits for the same seed', async () => {
    const hashes = await Promise.all(
      [0, 1].map(async () => {
        const local = make();
        await trainFor(local, 'first', rolesOfFirst, 4);
        return local.hashSegment('first');
      }),
    );
    expect(hashes[0]).toBe(hashes[1]);
  });

  test('averages micro-batches to the gradient of the whole batch', async () => {
    const [whole, split] = [make(), make()];
    for (const local of [whole, split])
      await local.setPhase({ tasks: ['first'], roles: { first: rolesOfFirst } });
    const one = await whole.step('first', [examples], { learningRate: 1e-2 });
    const two = await split.step('first', [examples.slice(0, 4), examples.slice(4)], { learningRate: 1e-2 });
    expect(two.loss).toBeCloseTo(one.loss, 6);
    expect(two.gradientNorm / one.gradientNorm).toBeCloseTo(1, 4);
  });

  test('resumes to the same bits from a saved state', async () => {
    const straight = make();
    await trainFor(straight, 'first', rolesOfFirst, 6);

    const stopped = make();
    await trainFor(stopped, 'first', rolesOfFirst, 3);
    const state = await stopped.saveState();
    const resumed = make();
    await resumed.setPhase({ tasks: ['first'], roles: { first: rolesOfFirst } });
    await resumed.restoreState(state);
    for (let i = 0; i < 3; i++) await resumed.step('first', [examples], { learningRate: 2e-2 });
    expect(await resumed.hashSegment('first')).toBe(await straight.hashSegment('first'));
  });

  test('runs no backward pass below the lowest layer that trains', async () => {
    let backwards = 0;
    const counting: Kernels = {
      ...kernels,
      attentionBackward: (...given) => {
        backwards += 1;
        return kernels.attentionBackward(...given);
      },
    };
    const counted = { ...model, kernels: counting };
    await trainFor(make({ on: counted, only: { first: { from: 1, to: 2 } } }), 'first', rolesOfFirst, 1);
    expect(backwards).toBe(1);
    backwards = 0;
    await trainFor(make({ on: counted }), 'first', rolesOfFirst, 1);
    expect(backwards).toBe(2);
  });

  test('turns examples into tokens once a phase', async () => {
    let calls = 0;
    const encode = (text: string) => {
      calls += 1;
      return model.tokenizer.encode(text);
    };
    const local = make({ on: { ...model, tokenizer: { ...model.tokenizer, encode } } });
    await trainFor(local, 'first', rolesOfFirst, 1);
    const once = calls;
    await local.step('first', [examples], { learningRate: 1e-3 });
    expect(calls).toBe(once);
    await trainFor(local, 'first', rolesOfFirst, 3);
    expect(calls).toBe(2 * once);
  });

  test('leaks no tensor over many steps', async () => {
    const local = make();
    await trainFor(local, 'second', rolesOfSecond, 2);
    await local.predict('second', examples, { first: 'freeze', second: 'freeze' });
    const before = tf.memory().numTensors;
    await trainFor(local, 'second', rolesOfSecond, 10);
    await local.predict('second', examples, { first: 'freeze', second: 'freeze' });
    expect(tf.memory().numTensors).toBe(before);
  });

  test('refuses an answer that is not a label', async () => {
    const local = make();
    await local.setPhase({ tasks: ['first'], roles: { first: rolesOfFirst } });
    const attempt = local.step('first', [[{ prompt: 'x', answer: 'z', labels }]], { learningRate: 1e-3 });
    await expect(attempt).rejects.toThrow('model/step: answer "z" is not among the labels a, b, c');
    await expect(attempt).rejects.toMatchObject({ code: 'MODEL_INPUT_INVALID' });
  });

  test('keeps the tensors of frozen segments for a phase, and none after a phase, a disposal or an error', async () => {
    const before = tf.memory().numTensors;
    const local = make();
    await trainFor(local, 'second', rolesOfSecond, 1);
    const frozen = 2 * Object.keys(local.segments()['first'] ?? {}).length;
    expect(tf.memory().numTensors).toBe(before + frozen);
    const wrong: Example = { prompt: 'x', answer: 'z', labels };
    await expect(local.step('second', [examples, [wrong]], { learningRate: 1e-3 })).rejects.toThrow(
      ModelError,
    );
    expect(tf.memory().numTensors).toBe(before + frozen);
    await local.setPhase({ tasks: ['first'], roles: { first: rolesOfFirst } });
    expect(tf.memory().numTensors).toBe(before);
    await expect(local.step('first', [[wrong]], { learningRate: 1e-3 })).rejects.toThrow(ModelError);
    expect(tf.memory().numTensors).toBe(before);
    await trainFor(local, 'second', rolesOfSecond, 1);
    await local[Symbol.asyncDispose]();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('trains over the frozen segments of a state that is restored within the phase', async () => {
    const source = make();
    await trainFor(source, 'first', rolesOfFirst, 3);
    const fresh = make();
    await fresh.setPhase({ tasks: ['second'], roles: { second: rolesOfSecond } });
    const state = { ...(await fresh.saveState()), ...(await source.saveState()) };
    const hashAfter = async (steps: number) => {
      const local = make();
      await trainFor(local, 'second', rolesOfSecond, steps);
      await local.restoreState(state);
      await local.step('second', [examples], { learningRate: 2e-2 });
      return local.hashSegment('second');
    };
    expect(await hashAfter(2)).toBe(await hashAfter(0));
  });

  test('trains over the current numbers of another task that trains in the same phase', async () => {
    const apart = make();
    await trainFor(apart, 'first', rolesOfFirst, 1);
    const expected = await trainFor(apart, 'second', rolesOfSecond, 1);
    const together = make();
    await together.setPhase({
      tasks: ['first', 'second'],
      roles: { first: rolesOfFirst, second: rolesOfSecond },
    });
    await together.step('second', [examples], { learningRate: 0 });
    await together.step('first', [examples], { learningRate: 2e-2 });
    const { loss } = await together.step('second', [examples], { learningRate: 2e-2 });
    expect(loss).toBe(expected);
  });

  test.each(['first', 'in the middle', 'last'] as const)(
    'frees every tensor when a kernel fails in a step (%s call)',
    async (which) => {
      const calls = { total: 0, failAt: Infinity };
      const failing =
        <Given extends readonly unknown[], Result>(kernel: (...given: Given) => Result) =>
        (...given: Given): Result => {
          calls.total += 1;
          if (calls.total === calls.failAt) throw new Error('out of memory');
          return kernel(...given);
        };
      const faulty: Kernels = {
        ...kernels,
        linear: failing((...given: Parameters<Kernels['linear']>) => kernels.linear(...given)),
        linearBackward: failing((...given: Parameters<Kernels['linearBackward']>) =>
          kernels.linearBackward(...given),
        ),
        attentionBackward: failing((...given: Parameters<Kernels['attentionBackward']>) =>
          kernels.attentionBackward(...given),
        ),
        linearCrossEntropy: failing((...given: Parameters<Kernels['linearCrossEntropy']>) =>
          kernels.linearCrossEntropy(...given),
        ),
      };
      const local = make({ on: { ...model, kernels: faulty } });
      await trainFor(local, 'second', rolesOfSecond, 1);
      const perStep = calls.total;
      const before = tf.memory().numTensors;
      const hash = await local.hashSegment('second');
      calls.failAt = perStep + { first: 1, 'in the middle': Math.ceil(perStep * 0.7), last: perStep }[which];
      await expect(local.step('second', [examples], { learningRate: 1e-2 })).rejects.toThrow('out of memory');
      expect(tf.memory().numTensors).toBe(before);
      expect(await local.hashSegment('second')).toBe(hash);
    },
  );

  test('refuses every call after its disposal', async () => {
    const local = make();
    await local.setPhase({ tasks: ['first'], roles: { first: rolesOfFirst } });
    const state = await local.saveState();
    await local[Symbol.asyncDispose]();
    const calls: Readonly<Record<Exclude<keyof LocalModel, symbol | 'features'>, () => unknown>> = {
      predict: () => local.predict('first', examples, { first: 'freeze' }),
      step: () => local.step('first', [examples], { learningRate: 1e-3 }),
      setPhase: () => local.setPhase({ tasks: ['first'], roles: { first: rolesOfFirst } }),
      hashSegment: () => local.hashSegment('first'),
      hashOptimizer: () => local.hashOptimizer('first'),
      saveState: () => local.saveState(),
      restoreState: () => local.restoreState(state),
      segments: () => local.segments(),
    };
    for (const [name, call] of Object.entries(calls))
      await expect(
        new Promise((resolve) => {
          resolve(call());
        }),
      ).rejects.toThrow(`model/${name}: the model was disposed; create another`);
    await local[Symbol.asyncDispose]();
  });

  test('answers nothing from the freed weights of its base', async () => {
    const base = await loadModel(fixture('smolvlm-tiny'), { kernels });
    const local = make({ on: base });
    const image = fixture('images', 'photo.jpg');
    const seen: Example[] = [{ prompt: 'what', image, answer: 'a', labels }];
    await trainFor(local, 'first', rolesOfFirst, 1, seen);
    const free: Example[] = [{ prompt: 'tell me', answer: 'the road' }];
    base.dispose();
    base.dispose();
    const other = await loadModel(fixture('smolvlm-tiny'), { kernels });
    for (const attempt of [
      () => local.predict('first', seen),
      () => local.predict('first', free),
      () => local.step('first', [seen], { learningRate: 1e-3 }),
      () => local.features.get([fixture('images', 'plain.png')]),
      () => generate(base, 'tell me', { maximumNewTokens: 1 }).next(),
      () => scoreLabels(base, [5, 6], labels),
    ])
      await expect(attempt()).rejects.toThrow('the weight is disposed; was its model disposed');
    await local[Symbol.asyncDispose]();
    other.dispose();
  });
});

describe('a broken model directory', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'model-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  const broken = async (name: string, harm: (path: string) => Promise<unknown>) => {
    const path = join(directory, name);
    await cp(fixture('llama-tiny'), path, { recursive: true });
    await harm(path);
    return loadModel(path, { kernels });
  };
  const editConfig = (path: string, change: Record<string, unknown>) =>
    readFile(join(path, 'config.json'), 'utf8').then((text) =>
      writeFile(join(path, 'config.json'), JSON.stringify({ ...(JSON.parse(text) as object), ...change })),
    );

  test.each([
    [
      'no weights',
      (path: string) => rm(join(path, 'model.safetensors')),
      /has neither model\.safetensors nor/,
    ],
    ['no config', (path: string) => rm(join(path, 'config.json')), /has no config\.json/],
    ['no tokenizer', (path: string) => rm(join(path, 'tokenizer.json')), /has no tokenizer\.json/],
    [
      'truncated weights',
      (path: string) => truncate(join(path, 'model.safetensors'), 50_000),
      /is the file truncated/,
    ],
    [
      'unsupported',
      (path: string) => editConfig(path, { model_type: 'rwkv' }),
      /"rwkv" is not supported; supported are llama/,
    ],
    [
      'misshapen',
      (path: string) => editConfig(path, { intermediate_size: 96 }),
      /layers\.0\.mlp\.gate_proj\.weight" is \[128, 64\], the config asks for \[96, 64\][\s\S]*layers\.1/,
    ],
    [
      'missing numbers',
      (path: string) => editConfig(path, { hidden_size: 'x', num_hidden_layers: -1 }),
      /"hidden_size" is "x", "num_hidden_layers" is -1/,
    ],
  ] as const)('with %s gives one clear message', async (name, harm, message) => {
    const attempt = broken(name.replace(' ', '-'), harm);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(ModelError);
  });

  test('that is actually a name says how to fetch the model', async () => {
    await expect(loadModel('HuggingFaceTB/SmolVLM-256M', { kernels })).rejects.toThrow('hf download');
  });

  test('with the old config keys gives the same spec', async () => {
    const path = join(directory, 'v4');
    await cp(fixture('llama-tiny'), path, { recursive: true });
    await cp(fixture('llama-tiny', 'config.v4.json'), join(path, 'config.json'));
    expect((await loadModel(path, { kernels })).spec).toEqual(model.spec);
  });
});
