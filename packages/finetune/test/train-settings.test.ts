import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  measureImportance,
  prepareRun,
  type PreparedRun,
  readTaskData,
  type RunEvent,
  type TaskData,
  trainRun,
  type TrainSettings,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { type LoadedModel, loadModel } from '@contextlora/model';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { writeScenario } from './light-scenario.js';

const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);
const plain: TrainSettings = { seed: 3, rank: 8, steps: 2, batchSize: 8, learningRate: 1e-2 };

let directory: string;
let base: LoadedModel;
let data: TaskData;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'finetune-settings-'));
  const row = (text: string, answer: string) => JSON.stringify({ text, answer });
  const light = [
    ...Array.from({ length: 5 }, (_, i) => row(`${'very '.repeat(i)}low light .`, 'night')),
    row('the bright light is bright .', 'sunny'),
  ];
  data = await readTaskData(
    await writeScenario(directory, { files: { 'light.train.jsonl': light.join('\n') } }),
  );
  base = await loadModel(baseModel, { kernels: await openKernels({ threads: 1 }) });
});
afterAll(async () => {
  base.dispose();
  await rm(directory, { recursive: true, force: true });
});

type Step = Extract<RunEvent, { type: 'step' }>;

async function train(over: Partial<TrainSettings> = {}): Promise<{ run: PreparedRun; steps: Step[] }> {
  const settings = { ...plain, ...over };
  const run = prepareRun(base, data, { settings });
  const steps: Step[] = [];
  for await (const event of trainRun(run, { settings })) if (event.type === 'step') steps.push(event);
  return { run, steps };
}
const hashOf = async (over: Partial<TrainSettings>, task = 'light') =>
  (await train(over)).run.model.hashSegment(task);
const weightsOf = ({ model }: PreparedRun) =>
  Object.values(model.segments()['light'] ?? {}).flatMap(({ a, b }) => [...a, ...b]);

describe('a setting acts:', () => {
  test('a batch in four micro-batches trains as the whole batch does', async () => {
    const [whole, split] = [
      await train({ steps: 1, learningRate: 1e-3 }),
      await train({ steps: 1, learningRate: 1e-3, microBatches: 4 }),
    ];
    const [p, q] = [weightsOf(whole.run), weightsOf(split.run)];
    expect(Math.max(...p.map((value, i) => Math.abs(value - (q[i] ?? NaN))))).toBeLessThan(1e-6);
    expect(split.steps[0]?.loss).toBeCloseTo(whole.steps[0]?.loss ?? NaN, 6);
  });

  test('rates, schedules and warm-ups, for all tasks or for each', async () => {
    const { steps } = await train({
      steps: { light: 4, lamp: 1 },
      learningRate: { light: 0.01, lamp: 0.02 },
      schedule: 'linear',
      warmupShare: 0.5,
      rateFloor: 0.5,
    });
    const expected = [0.005, 0.01 * 0.875, 0.01 * 0.75, 0.01 * 0.625, 0.02];
    for (const [i, { learningRate }] of steps.entries())
      expect(learningRate).toBeCloseTo(expected[i] ?? NaN, 9);
  });

  test('ranks and alpha of each task, targets and layers decide where a segment is', () => {
    const { partition } = prepareRun(base, data, {
      settings: {
        ...plain,
        rank: { light: 2, lamp: 4 },
        alpha: { lamp: 3 },
        targets: { light: ['q_proj', 'self_attn.v_proj'], lamp: ['down_proj'] },
        layers: { light: { from: 4, to: 6 } },
        scaling: 'rslora',
      },
    });
    const prefix = /^.*layers\.(\d+)\./;
    const placed = (task: string) =>
      Object.entries(partition.layers).flatMap(([name, { spans }]) => {
        const span = spans[task];
        return span ? [`${name.replace(prefix, '$1 ')} ${span.end - span.start}`] : [];
      });
    expect(placed('light')).toEqual([
      '4 self_attn.q_proj 2',
      '4 self_attn.v_proj 2',
      '5 self_attn.q_proj 2',
      '5 self_attn.v_proj 2',
    ]);
    expect(placed('lamp')).toEqual([0, 1, 2, 3, 4, 5].map((layer) => `${layer} mlp.down_proj 4`));
    expect(partition.tasks).toMatchObject({
      light: { alpha: 4, scaling: 'rslora' },
      lamp: { alpha: 3, scaling: 'rslora' },
    });
  });

  test('ranks are divided by the rows of the tasks', () => {
    const { partition } = prepareRun(base, data, { settings: { ...plain, allocation: 'data' } });
    // One each; then six as six to two.
    expect(Object.values(partition.layers)[0]?.spans).toEqual({
      light: { start: 0, end: 6 },
      lamp: { start: 6, end: 8 },
    });
  });

  test('ranks are divided by measured importance, the same way each time, and not without a measurement', async () => {
    const settings: TrainSettings = { ...plain, rank: 32, allocation: 'importance' };
    const measure = async () => {
      const measuring = measureImportance(base, data, settings);
      for (;;) {
        const next = await measuring.next();
        if (next.done) return next.value;
      }
    };
    const importance = await measure();
    expect(await measure()).toEqual(importance);
    const { layers } = prepareRun(base, data, { settings, importance }).partition;
    const widths = Object.entries(layers).map(([linear, { spans }]) => {
      const [light = 0, lamp = 0] = Object.values(spans).map(({ end, start }) => end - start);
      expect(light + lamp).toBe(32);
      return { linear, light };
    });
    const relative = (task: string, linear: string) => {
      const values = importance[task] ?? {};
      const mean = Object.values(values).reduce((sum, value) => sum + value, 0) / Object.keys(values).length;
      return (values[linear] ?? NaN) / mean;
    };
    // Light has the more ranks, the more the linear matters to it than to lamp.
    const shares = widths.map(({ linear, light }) => ({
      light,
      // The connector, which texts do not use, matters to neither.
      share: relative('light', linear) / (relative('light', linear) + relative('lamp', linear)) || 0.5,
    }));
    for (const { light, share } of shares) expect(Math.abs(light - (1 + 30 * share))).toBeLessThanOrEqual(1);
    expect(new Set(shares.map(({ light }) => light)).size).toBeGreaterThan(1);
    expect(() => prepareRun(base, data, { settings })).toThrow('needs what measureImportance returns');
  });

  test.each<[string, Partial<TrainSettings>]>([
    ['the loss over prompts', { promptLoss: true }],
    ['batches by length', { batches: { light: 'byLength' }, batchSize: 3 }],
    ['balanced batches', { batches: { light: 'balanced' } }],
    ['weight decay', { weightDecay: 0.5 }],
    ['LoRA dropout', { loraDropout: 0.3 }],
    ['clipping', { clipNorm: 1e-3 }],
    ['the decay of the mean', { beta1: 0.5 }],
    ['the decay of the squares', { beta2: 0.5 }],
    ['epsilon', { epsilon: 1e-3 }],
    ['the optimizer', { optimizer: 'lion' }],
    ['another optimizer', { optimizer: 'sgd' }],
  ])('%s', async (_, over) => {
    const before = await train({
      ...over,
      optimizer: 'adamw',
      batches: 'shuffled',
      promptLoss: false,
      weightDecay: 0,
      loraDropout: 0,
      clipNorm: 1,
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-8,
    });
    const after = await train(over);
    expect(await after.run.model.hashSegment('light')).not.toBe(await before.run.model.hashSegment('light'));
  });

  test('momentum and its looking ahead', async () => {
    const sgd: Partial<TrainSettings> = { optimizer: 'sgd', learningRate: 0.5 };
    const hashes = [sgd, { ...sgd, momentum: 0.9 }, { ...sgd, momentum: 0.9, nesterov: true }];
    expect(new Set(await Promise.all(hashes.map((over) => hashOf(over)))).size).toBe(3);
  });

  test('their defaults are what a run without them does', async () => {
    const spelt: Partial<TrainSettings> = {
      allocation: 'share',
      alpha: 8,
      scaling: 'standard',
      microBatches: 1,
      batches: 'shuffled',
      schedule: 'cosine',
      warmupSteps: 20,
      rateFloor: 0,
      optimizer: 'adamw',
      weightDecay: 0,
      clipNorm: 1,
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-8,
      promptLoss: false,
      loraDropout: 0,
      chatTemplate: false,
      packing: false,
      steps: 20,
    };
    expect(await hashOf(spelt)).toBe(await hashOf({ steps: 20 }));
  });
});
