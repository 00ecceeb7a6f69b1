import { readFile } from 'node:fs/promises';

import { type Kernels, openKernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks, type Segments } from '@contextlora/lora';
import { readPeftFolder } from '@contextlora/lora/files';
import {
  createLocalModel,
  type Example,
  linearsOf,
  loadModel,
  type LoadedModel,
  type LoraDropout,
} from '@contextlora/model';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { fixture } from './golden.js';

interface Golden {
  readonly seed: number;
  readonly rate: number;
  readonly examples: readonly Example[];
  readonly losses: readonly number[];
  readonly gradient_norms: readonly number[];
}

let golden: Golden;
beforeAll(async () => {
  golden = JSON.parse(await readFile(fixture('lora-dropout.json'), 'utf8')) as Golden;
});

const learningRate = 1e-2;

async function trainee(model: LoadedModel, dropout?: LoraDropout) {
  const { modules } = await readPeftFolder(fixture('lora-llama'));
  const tasks = [
    { id: 't', dependsOn: [] },
    { id: 'u', dependsOn: ['t'] },
  ];
  const partition = partitionRanks(linearsOf(model.spec), tasks, { rank: 8 });
  const segments: Segments = { t: modules, u: initialiseSegments(partition, { seed: 0 })['u']! };
  const local = createLocalModel(model, { partition, segments, ...(dropout ? { dropout } : {}) });
  const train = (task: 't' | 'u') =>
    local.setPhase({
      tasks: [task],
      roles: { [task]: task === 't' ? { t: 'train' } : { t: 'freeze', u: 'train' } },
    });
  await train('t');
  return { local, train };
}

describe.each(['reference', 'wasm', 'onnx'] as const)('on the %s backend', (backend) => {
  let kernels: Kernels;
  let model: LoadedModel;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
    model = await loadModel(fixture('llama-tiny'), { kernels });
  });
  afterAll(() => {
    model.dispose();
    kernels.dispose();
  });

  test('three steps with masked inputs have the losses and gradients of PyTorch and PEFT', async () => {
    const { seed, rate, examples, losses, gradient_norms: norms } = golden;
    const { local } = await trainee(model, { seed, rate });
    for (const [step, expected] of losses.entries()) {
      const { loss, gradientNorm } = await local.step('t', [examples], { learningRate });
      expect(Math.abs(loss - expected)).toBeLessThan(5e-5);
      expect(gradientNorm / norms[step]!).toBeCloseTo(1, 4);
    }
    await local[Symbol.asyncDispose]();
  });
});

describe('LoRA dropout', () => {
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
  const after = async (
    dropout: LoraDropout | undefined,
    parts: readonly (readonly number[])[] = [[0, 1, 2]],
  ) => {
    const { local } = await trainee(model, dropout);
    const batches = parts.map((rows) => rows.map((row) => golden.examples[row]!));
    const { loss } = await local.step('t', batches, { learningRate });
    const hash = await local.hashSegment('t');
    await local[Symbol.asyncDispose]();
    return { loss, hash };
  };

  test('of 0, or of another task, changes no bit', async () => {
    const plain = await after(undefined);
    expect(await after({ seed: 5, rate: 0 })).toEqual(plain);
    expect(await after({ seed: 5, rate: { u: 0.3 } })).toEqual(plain);
    expect(await after({ seed: 5, rate: { t: 0.3 } })).not.toEqual(plain);
  });

  test('is another one with another seed, the same with the same, and does not depend on the micro-batches', async () => {
    const one = await after({ seed: 5, rate: 0.3 });
    expect(await after({ seed: 5, rate: 0.3 })).toEqual(one);
    expect((await after({ seed: 6, rate: 0.3 })).loss).not.toBeCloseTo(one.loss, 3);
    expect((await after({ seed: 5, rate: 0.3 }, [[0], [1, 2]])).loss).toBeCloseTo(one.loss, 5);
  });

  test('goes on in a restored model with the step that it was in', async () => {
    const dropout = { seed: 5, rate: 0.3 };
    const [whole, resumed] = [await trainee(model, dropout), await trainee(model, dropout)];
    const step = ({ local }: typeof whole) => local.step('t', [golden.examples], { learningRate });
    await step(whole);
    await resumed.local.restoreState(await whole.local.saveState());
    expect(await step(resumed)).toEqual(await step(whole));
    for (const { local } of [whole, resumed]) await local[Symbol.asyncDispose]();
  });

  test('leaves frozen segments and answers whole', async () => {
    // B of u is zero, so that only t could show a mask.
    const losses = await Promise.all(
      [undefined, { seed: 5, rate: 0.3 }].map(async (dropout) => {
        const { local, train } = await trainee(model, dropout);
        await train('u');
        const { loss } = await local.step('u', [golden.examples], { learningRate });
        const answers = await local.predict('t', golden.examples, { t: 'freeze' });
        await local[Symbol.asyncDispose]();
        return { loss, answers };
      }),
    );
    // Segments that read all of an input take another way through the products beside one that does not.
    expect(losses[0]!.loss).toBeCloseTo(losses[1]!.loss, 5);
    expect(losses[0]!.answers).toEqual(losses[1]!.answers);
  });

  test.each([1, -0.1, NaN])('of %d is refused', async (rate) => {
    const { local } = await trainee(model, { seed: 0, rate });
    await expect(local.step('t', [golden.examples], { learningRate })).rejects.toThrow(
      /the dropout of task "t" is .*; it must be from 0 up and below 1/,
    );
    await local[Symbol.asyncDispose]();
  });
});
