import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import { initialiseSegments, partitionRanks, type Roles } from '@contextlora/lora';
import { digestOf } from '@contextlora/lora/files';
import { decodeSafetensors, encodeSafetensors, float32Tensor } from '@contextlora/lora/safetensors';
import {
  createLocalModel,
  linearsOf,
  loadModel,
  type Example,
  type LoadedModel,
  type LocalModel,
  type OptimizerOptions,
} from '@contextlora/model';

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
];
const roles: Roles = { first: 'train', second: 'mask' };
const labels = ['a', 'b', 'c'];
const examples: Example[] = ['red car', 'blue bus', 'green dog'].map((prompt, i) => ({
  prompt,
  answer: labels[i] ?? '',
  labels,
}));

function make({
  rank = 8,
  alpha,
  optimizer = {},
  on = model,
}: { rank?: number; alpha?: number; optimizer?: OptimizerOptions; on?: LoadedModel } = {}): LocalModel {
  const partition = partitionRanks(linearsOf(model.spec), tasks, {
    rank,
    ...(alpha === undefined ? {} : { alpha }),
  });
  return createLocalModel(on, { partition, segments: initialiseSegments(partition, { seed: 1 }), optimizer });
}

/** A state in a form that compares fast. */
const digests = (state: Readonly<Record<string, Uint8Array>>) =>
  Object.fromEntries(Object.entries(state).map(([name, content]) => [name, digestOf(content)]));
const stateOf = async (local: LocalModel) => digests(await local.saveState());

async function inPhase(local: LocalModel): Promise<LocalModel> {
  await local.setPhase({ tasks: ['first'], roles: { first: roles } });
  return local;
}

describe('a saved state', () => {
  let files: Readonly<Record<string, Uint8Array>>;
  beforeAll(async () => {
    const local = await inPhase(make());
    for (let i = 0; i < 2; i++) await local.step('first', [examples], { learningRate: 1e-2 });
    files = await local.saveState();
  });

  const optimizer = 'optimizer-first.safetensors';
  /** A file with tensors or metadata changed. */
  const edited = (
    name: string,
    tensors: Record<string, ReturnType<typeof float32Tensor> | undefined>,
    metadata: Record<string, string> = {},
  ) => {
    const decoded = decodeSafetensors(files[name] ?? new Uint8Array());
    const all = [...new Map([...decoded.tensors, ...Object.entries(tensors)])];
    return {
      [name]: encodeSafetensors(
        all.flatMap(([key, tensor]): [string, ReturnType<typeof float32Tensor>][] =>
          tensor ? [[key, tensor]] : [],
        ),
        { ...decoded.metadata, ...metadata },
      ),
    };
  };
  const anA = () => {
    const { tensors } = decodeSafetensors(files['segments.safetensors'] ?? new Uint8Array());
    const [name = ''] = tensors.keys();
    return name;
  };
  const nan = (length: number) => float32Tensor([length], new Float32Array(length).fill(NaN));

  test.each<[string, () => Record<string, Uint8Array | undefined>, RegExp]>([
    ['no segments', () => ({ 'segments.safetensors': undefined }), /segments\.safetensors is missing/],
    [
      'no optimizer of the task in training',
      () => ({ [optimizer]: undefined }),
      /optimizer-first\.safetensors is missing/,
    ],
    [
      'a file of something else',
      () => ({ 'notes.txt': new Uint8Array(1) }),
      /notes\.txt is not a file of a state/,
    ],
    [
      'a tensor missing',
      () => edited('segments.safetensors', { [anA()]: undefined }),
      /"first\/.*" is missing/,
    ],
    ['a tensor too many', () => edited('segments.safetensors', { x: nan(1) }), /"x" is not of this model/],
    [
      'a tensor of another shape',
      () => edited('segments.safetensors', { [anA()]: nan(3) }),
      /is F32 \[3\], expected F32 \[\d+, \d+\]/,
    ],
    ['a moment missing', () => edited(optimizer, { second: undefined }), /"second" is missing/],
    ['a moment of another length', () => edited(optimizer, { first: nan(3) }), /"first" is F32 \[3\]/],
    [
      'a moment that is not finite',
      () =>
        edited(optimizer, {
          second: nan(
            decodeSafetensors(files[optimizer] ?? new Uint8Array()).tensors.get('second')?.shape[0] ?? 0,
          ),
        }),
      /"second" holds NaN/,
    ],
    ['no step count', () => edited(optimizer, {}, { step: '' }), /its step is ""/],
    ['a negative step count', () => edited(optimizer, {}, { step: '-5' }), /its step is "-5"/],
    ['a fractional step count', () => edited(optimizer, {}, { step: '1.5' }), /its step is "1\.5"/],
  ])('with %s is refused, and changes nothing', async (_, change, message) => {
    const harmed = Object.fromEntries(
      Object.entries({ ...files, ...change() }).flatMap(([name, content]) =>
        content ? [[name, content]] : [],
      ),
    ) as Record<string, Uint8Array>;
    const local = await inPhase(make());
    const before = await stateOf(local);
    const attempt = local.restoreState(harmed);
    await expect(attempt).rejects.toMatchObject({ code: 'MODEL_MISMATCH' });
    await expect(attempt).rejects.toThrow(message);
    expect(await stateOf(local)).toEqual(before);
    await local.restoreState(files);
    expect(await stateOf(local)).toEqual(digests(files));
  });

  test('counts the steps of its phase from 1, as the optimizer corrects its moments by them', () => {
    expect(decodeSafetensors(files[optimizer] ?? new Uint8Array()).metadata).toEqual({
      step: '2',
      method: 'adamw',
    });
  });

  test.each([{ alpha: 3 }, { rank: 4 }, { rank: 8, alpha: 2 }])(
    'of another partition (%j) is refused, even where all shapes fit',
    async (other) => {
      await expect(make(other).restoreState(files)).rejects.toThrow('is of another partition');
    },
  );
});

describe('a step', () => {
  /** A model whose loss is replaced in the given call of the loss kernel, from 1. */
  const withLoss = (loss: number, at: number): LoadedModel => {
    let calls = 0;
    const linearCrossEntropy: Kernels['linearCrossEntropy'] = (...given) => {
      const result = kernels.linearCrossEntropy(...given);
      return ++calls === at ? { ...result, loss } : result;
    };
    return { ...model, kernels: { ...kernels, linearCrossEntropy } };
  };

  test.each([NaN, Infinity])(
    'whose loss is %p changes no number, moment or count, in any micro-batch',
    async (loss) => {
      // Each micro-batch has two losses: over the labels, and over the vocabulary.
      for (const at of [3, 5]) {
        const local = await inPhase(make({ on: withLoss(loss, at) }));
        const batches = [examples.slice(0, 1), examples.slice(1)];
        if (at === 5) await local.step('first', batches, { learningRate: 1e-2 });
        const before = await stateOf(local);
        const result = await local.step('first', batches, { learningRate: 1e-2 });
        expect(result.loss).toBe(loss);
        expect(await stateOf(local)).toEqual(before);
      }
    },
  );

  test('whose gradient is not finite changes nothing', async () => {
    const linearBackward: Kernels['linearBackward'] = (...given) => {
      const result = kernels.linearBackward(...given);
      const [pair] = result.segments;
      if (!pair) return result;
      const a: typeof pair.a = tf.fill(pair.a.shape, Infinity);
      pair.a.dispose();
      return { ...result, segments: [{ ...pair, a }, ...result.segments.slice(1)] };
    };
    const local = await inPhase(make({ on: { ...model, kernels: { ...kernels, linearBackward } } }));
    const before = await stateOf(local);
    const { loss, gradientNorm } = await local.step('first', [examples], { learningRate: 1e-2 });
    expect([Number.isFinite(loss), Number.isFinite(gradientNorm)]).toEqual([true, false]);
    expect(await stateOf(local)).toEqual(before);
  });

  test.each([NaN, -1e-3, Infinity])('with the learning rate %p is refused', async (learningRate) => {
    const local = await inPhase(make());
    await expect(local.step('first', [examples], { learningRate })).rejects.toThrow(
      'the learning rate must be',
    );
  });

  test('refuses a weight decay that would turn every number round', async () => {
    const local = await inPhase(make({ optimizer: { weightDecay: 20 } }));
    await local.step('first', [examples], { learningRate: 1e-2 });
    await expect(local.step('first', [examples], { learningRate: 0.05 })).rejects.toThrow('must be below 1');
  });
});

describe('the state of an optimizer', () => {
  test.each<[OptimizerOptions, number]>([
    [{ method: 'adamw' }, 2],
    [{ method: 'lion' }, 1],
    [{ method: 'sgd', momentum: 0.9, nesterov: true }, 1],
    [{ method: 'sgd' }, 0],
  ])('of %j is saved, and training goes on from it to the same bits', async (optimizer, moments) => {
    const step = (local: LocalModel) => local.step('first', [examples], { learningRate: 1e-2 });
    const [straight, resumed] = [await inPhase(make({ optimizer })), await inPhase(make({ optimizer }))];
    await step(straight);
    const saved = await straight.saveState();
    expect(decodeSafetensors(saved['optimizer-first.safetensors']!).tensors.size).toBe(moments);
    await resumed.restoreState(saved);
    for (const local of [straight, resumed]) await step(local);
    expect(await stateOf(resumed)).toEqual(await stateOf(straight));
    expect(await resumed.hashOptimizer('first')).toBe(await straight.hashOptimizer('first'));
  });

  test('is refused by a model that trains with another', async () => {
    const lion = await inPhase(make({ optimizer: { method: 'lion' } }));
    const sgd = await inPhase(make({ optimizer: { method: 'sgd', momentum: 0.9 } }));
    await expect(sgd.restoreState(await lion.saveState())).rejects.toThrow(
      'its moments are of lion, and this model trains with sgd',
    );
  });

  test('is none before the first step, and another after each', async () => {
    const local = await inPhase(make({ optimizer: { method: 'lion' } }));
    const hashes = new Set([await local.hashOptimizer('first')]);
    for (let i = 0; i < 2; i++) {
      await local.step('first', [examples], { learningRate: 1e-2 });
      hashes.add(await local.hashOptimizer('first'));
    }
    expect(hashes.size).toBe(3);
  });
});

test.each<[OptimizerOptions, RegExp]>([
  [{ method: 'sgd', beta1: 0.9 }, /beta1 has no effect with sgd/],
  [
    { method: 'lion', epsilon: 1e-6, momentum: 0.9 },
    /epsilon has no effect with lion[\s\S]*momentum has no effect/,
  ],
  [{ nesterov: true }, /nesterov has no effect with adamw/],
  [{ method: 'sgd', nesterov: true }, /nesterov has no effect without momentum/],
  [{ method: 'sgd', momentum: 1 }, /momentum must be at least 0 and below 1, got 1/],
  [{ method: 'adam' as 'adamw' }, /there is no optimizer "adam"/],
  [{ clipNorm: 0 }, /clipNorm must be above 0, got 0/],
  [{ clipNorm: NaN }, /clipNorm/],
  [{ clipNorm: -1 }, /clipNorm/],
  [{ weightDecay: -0.1 }, /weightDecay/],
  [{ weightDecay: NaN }, /weightDecay/],
  [{ beta1: 1 }, /beta1/],
  [{ beta1: -0.1, beta2: 1.5, epsilon: 0 }, /beta1[\s\S]*beta2[\s\S]*epsilon/],
])('an optimizer with %j is refused', (optimizer, message) => {
  expect(() => make({ optimizer })).toThrow(message);
});
