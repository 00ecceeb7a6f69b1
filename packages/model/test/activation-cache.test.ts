import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Kernels, loadOnnxRuntime, openKernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import { initialiseSegments, partitionRanks, type Roles, type Segments } from '@contextlora/lora';
import {
  type ActivationCache,
  batchOf,
  createLocalModel,
  type Example,
  hiddenStates,
  linearsOf,
  loadModel,
  type LoadedModel,
  openActivationCache,
} from '@contextlora/model';

import { fixture } from './golden.js';

const backends = [
  'reference',
  'wasm',
  ...(typeof loadOnnxRuntime() === 'string' ? [] : (['onnx'] as const)),
] as const;
const tasks = [
  { id: 'parent', dependsOn: [] },
  { id: 'child', dependsOn: ['parent'] },
  { id: 'sibling', dependsOn: ['parent'] },
];
const labels = ['a', 'b', 'c'];
const prompts = ['red', 'blue bus', 'the green dog runs', 'an old tree by the wet road', 'wet', 'a dry road'];
const examples: Example[] = prompts.map((prompt, i) => ({ prompt, answer: labels[i % 3]!, labels }));
const upper = { from: 1, to: 2 };
const rolesOf = (task: string): Roles => ({
  parent: 'freeze',
  child: 'mask',
  sibling: 'mask',
  [task]: 'train',
});
/** Two epochs in batches of different company and length. */
const batches = [
  [0, 3],
  [1, 2, 4, 5],
  [0, 1, 2],
  [5, 4, 3],
];

/** Segments with an effect: B is zero at first. */
function effective(segments: Segments): Segments {
  for (const segment of Object.values(segments))
    for (const { b } of Object.values(segment)) for (const at of b.keys()) b[at] = Math.cos(at) / 20;
  return segments;
}

describe.each(backends)('on the %s backend', (backend) => {
  let kernels: Kernels;
  let base: LoadedModel;
  let layersComputed = 0;
  beforeAll(async () => {
    const plain = await openKernels({ prefer: backend });
    kernels = {
      ...plain,
      attention: (...given) => {
        layersComputed += 1;
        return plain.attention(...given);
      },
    };
    base = await loadModel(fixture('llama-tiny'), { kernels });
  });
  afterAll(() => {
    base.dispose();
    kernels.dispose();
  });

  const make = (
    activations: ActivationCache,
    only: Record<string, typeof upper> = { child: upper, sibling: upper },
    change: (segments: Segments) => void = () => undefined,
  ) => {
    const partition = partitionRanks(linearsOf(base.spec), tasks, { rank: 12, only });
    const segments = effective(initialiseSegments(partition, { seed: 1 }));
    change(segments);
    return createLocalModel(base, { partition, segments, activations });
  };
  type Local = ReturnType<typeof make>;

  const train = async (local: Local, task: string, roles: Roles = rolesOf(task), of = examples) => {
    await local.setPhase({ tasks: [task], roles: { [task]: roles } });
    for (const batch of batches) await local.step(task, [batch.map((i) => of[i]!)], { learningRate: 1e-2 });
    return local.hashSegment(task);
  };
  const none = () => openActivationCache({ maximumBytes: 0 });

  test('a sequence has the same hidden states, to the bit, in whatever batch it is', () => {
    const rows = [5, 7, 12, 24, 24, 33, 60].map((length, s) =>
      Array.from({ length }, (_, i) => 5 + ((i * 37 + s * 11) % 300)),
    );
    const statesOf = (batch: number[][]) => {
      const tokens = batchOf(
        base,
        batch,
        batch.map(() => undefined),
        { minimumTime: 8 },
      );
      return hiddenStates(base, tokens).map((states) => {
        const values = states.dataSync() as Float32Array;
        const [, hidden] = states.shape;
        states.dispose();
        return batch.map(({ length }, row) =>
          values.slice(row * tokens.time * hidden, (row * tokens.time + length) * hidden),
        );
      });
    };
    const together = statesOf(rows);
    for (const [row, ids] of rows.entries())
      for (const [layer, states] of statesOf([ids]).entries())
        expect(states[0]).toEqual(together[layer]?.[row]);
  });

  test('training with the cache ends with the same bytes, and computes the lower layers once a sequence', async () => {
    const cache = openActivationCache();
    const hash = await train(make(cache), 'child');
    expect(cache.usage()).toMatchObject({ found: 6, computed: 6 });
    expect(hash).toBe(await train(make(none()), 'child'));
  });

  test('in the second epoch only the layers that train are computed', async () => {
    const local = make(openActivationCache());
    await train(local, 'child');
    layersComputed = 0;
    await local.step('child', [examples], { learningRate: 1e-2 });
    expect(layersComputed).toBe(1);
  });

  test('siblings in one phase end with the bytes of one after the other, and read each other’s lower layers', async () => {
    const apart = make(none());
    const expected = [await train(apart, 'child'), await train(apart, 'sibling')];
    const cache = openActivationCache();
    const together = make(cache);
    const both = ['child', 'sibling'];
    await together.setPhase({
      tasks: both,
      roles: Object.fromEntries(both.map((task) => [task, rolesOf(task)])),
    });
    for (const batch of batches)
      for (const task of both)
        await together.step(task, [batch.map((i) => examples[i]!)], { learningRate: 1e-2 });
    expect([await together.hashSegment('child'), await together.hashSegment('sibling')]).toEqual(expected);
    expect(cache.usage()).toMatchObject({ found: 18, computed: 6 });
  });

  test('what was kept is not used once anything upstream is another: a frozen segment, its scale, or how many layers are lower', async () => {
    const cache = openActivationCache();
    await train(make(cache), 'child');
    const shifted = (segments: Segments) => {
      const [first] = Object.values(segments['parent'] ?? {});
      first!.b[0]! += 1e-3;
    };
    const changes: [string, (activations: ActivationCache) => Promise<string>][] = [
      ['another parent', (on) => train(make(on, undefined, shifted), 'child')],
      ['no parent', (on) => train(make(on), 'child', { ...rolesOf('child'), parent: 'mask' })],
      ['a parent above', (on) => train(make(on, { parent: upper, child: upper, sibling: upper }), 'child')],
      ['other sequences', (on) => train(make(on), 'child', rolesOf('child'), [...examples].reverse())],
    ];
    for (const [change, run] of changes)
      expect([change, await run(cache)]).toEqual([change, await run(none())]);
  });

  test('nothing is kept where every layer trains, or where a lower segment changes in the same phase', async () => {
    const cache = openActivationCache();
    await train(make(cache, {}), 'child');
    const local = make(cache);
    await local.setPhase({
      tasks: ['parent', 'child'],
      roles: { parent: { parent: 'train' }, child: rolesOf('child') },
    });
    for (const task of ['child', 'parent', 'child'])
      await local.step(task, [examples], { learningRate: 1e-2 });
    expect(cache.usage()).toEqual({ found: 0, computed: 0, bytes: 0 });
  });

  test('a state that is restored within the phase is not read from before', async () => {
    const [source, cache] = [make(none()), openActivationCache()];
    await source.setPhase({ tasks: ['parent'], roles: { parent: { parent: 'train' } } });
    await source.step('parent', [examples], { learningRate: 1e-2 });
    const after = async (activations: ActivationCache) => {
      const local = make(activations);
      await train(local, 'child');
      await local.restoreState({ ...(await local.saveState()), ...(await source.saveState()) });
      await local.step('child', [examples], { learningRate: 1e-2 });
      return local.hashSegment('child');
    };
    expect(await after(cache)).toBe(await after(none()));
  });

  test('a batch of few rows has the bytes of one without a cache, though its sequence is in the cache', async () => {
    const short: Example = { prompt: 'a', answer: 'b' };
    const after = async (activations: ActivationCache) => {
      const local = make(activations);
      await local.setPhase({ tasks: ['child'], roles: { child: rolesOf('child') } });
      for (const batch of [[short, ...examples], [short]])
        await local.step('child', [batch], { learningRate: 1e-2 });
      return local.hashSegment('child');
    };
    expect(await after(openActivationCache())).toBe(await after(none()));
  });

  test('frees its tensors', async () => {
    const local = make(openActivationCache());
    await train(local, 'child');
    const before = tf.memory().numTensors;
    await local.step('child', [examples], { learningRate: 1e-2 });
    const short: Example = { prompt: 'a tree that nobody has seen', answer: 'a', labels };
    await local.step('child', [[short]], { learningRate: 1e-2 });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('an activation cache', () => {
  const numbers = (count: number, value = 1) => new Float32Array(count).fill(value);
  const read = async (cache: ActivationCache, ...keys: string[]) => {
    const computed: string[] = [];
    await cache.get(keys, (missing) => {
      computed.push(...missing.map((i) => keys[i]!));
      return Promise.resolve(missing.map(() => numbers(4)));
    });
    return computed;
  };

  test('computes each key once, also within one request', async () => {
    const cache = openActivationCache();
    expect(await read(cache, 'x', 'y', 'x')).toEqual(['x', 'y']);
    expect(await read(cache, 'y', 'z', 'x')).toEqual(['z']);
  });

  test('within a phase keeps what it has when the budget is used up; a later phase takes the room of an earlier one', async () => {
    const cache = openActivationCache({ maximumBytes: 32 });
    await read(cache, 'a', 'b', 'c');
    expect(cache.usage().bytes).toBe(32);
    expect(await read(cache, 'a', 'b', 'c')).toEqual(['c']);
    cache.beginPhase();
    expect(await read(cache, 'b', 'd')).toEqual(['d']);
    expect(await read(cache, 'b', 'd', 'a')).toEqual(['a']);
    expect(cache.usage().bytes).toBe(32);
  });

  test('in f16 holds half the bytes, and gives at once what it will give later', async () => {
    const cache = openActivationCache({ format: 'f16' });
    const third = () => cache.get(['x'], () => Promise.resolve([numbers(4, 1 / 3)]));
    const [first] = await third();
    expect(await third()).toEqual([first]);
    expect(first?.[0]).toBeCloseTo(1 / 3, 3);
    expect(first?.[0]).not.toBe(Math.fround(1 / 3));
    expect(cache.usage().bytes).toBe(8);
  });

  test('refuses a budget that is no number', () => {
    expect(() => openActivationCache({ maximumBytes: NaN })).toThrow('"maximumBytes" is NaN');
  });
});
