import { partitionRanks } from '@contextlora/lora';
import { linearsOf, parseModelSpec } from '@contextlora/model';
import { predictMemory, type PredictMemoryOptions } from '@contextlora/workloads';
import { expect, test } from '@jest/globals';

import { tinyConfigs } from './tiny-models.js';

const spec = parseModelSpec(tinyConfigs['llama']!, 'llama');
const tasks = [{ id: 'road', dependsOn: [] }];
const phases = [{ tasks: ['road'], roles: { road: { road: 'train' } } }] as const;
const plain: PredictMemoryOptions = {
  taskOf: () => ({ sample: { tokens: 20, answered: 2 }, trainingRows: 100, isLabelTask: false }),
  batchSize: 16,
  microBatches: 1,
  moments: 2,
  pictures: 0,
  residentBytes: 1e8,
  peakBytes: 0,
};
const predict = (over: Partial<PredictMemoryOptions> = {}, from = 0) => {
  const partition = partitionRanks(linearsOf(spec), tasks, { rank: 4, only: { road: { from, to: 4 } } });
  return predictMemory(spec, { partition, phases }, { ...plain, ...over });
};

test('the parts add up, on top of what the process holds', () => {
  const { totalBytes, ...parts } = predict();
  expect(totalBytes).toBeCloseTo(
    Object.values(parts).reduce((sum, part) => sum + part, 0),
    3,
  );
  expect(parts.processBytes).toBe(1e8);
  expect(predict({ residentBytes: 2e8 }).totalBytes - totalBytes).toBeCloseTo(1e8, 3);
  expect(predict({ peakBytes: 1e10 }).totalBytes).toBe(1e10);
});

test('the moments of the optimizer count: two of AdamW, one of Lion, none of plain SGD', () => {
  const trained = linearsOf(spec)
    .filter(({ layerIndex }) => layerIndex !== undefined)
    .reduce((sum, { inFeatures, outFeatures }) => sum + 4 * 4 * (inFeatures + outFeatures), 0);
  const [adamw, lion, sgd] = [2, 1, 0].map((moments) => predict({ moments }).optimizerBytes);
  expect(adamw! - lion!).toBe(4 * trained);
  expect(lion! - sgd!).toBe(4 * trained);
});

test('the activation cache counts where layers lie below the lowest that trains, up to its limit', () => {
  expect(predict().cacheBytes).toBe(0);
  expect(predict({}, 2).cacheBytes).toBe(4 * 100 * 20 * 24);
  expect(predict({ mostActivationBytes: 1000 }, 2).cacheBytes).toBe(1000);
});

test('micro-batches divide what a step keeps', () => {
  const taskOf = () => ({ sample: { tokens: 60, answered: 2 }, trainingRows: 1, isLabelTask: false });
  const bytes = (microBatches: number) =>
    predict({ taskOf, batchSize: 1024, microBatches, predictBatchSize: 1 }).activationBytes;
  expect(bytes(4)).toBeCloseTo(bytes(1) / 4, 3);
});
