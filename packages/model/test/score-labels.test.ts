import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openKernels, type Kernels } from '@contextlora/kernels';
import { answerIds, languageLogits, loadModel, scoreLabels, type LoadedModel } from '@contextlora/model';

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

/** Computed in one uncached pass over prompt and label. */
function definition(prompt: readonly number[], label: string): number {
  const ids = [...prompt, ...answerIds(model, label)];
  let sum = 0;
  for (let at = prompt.length; at < ids.length; at++) {
    const tokens = { batch: 1, time: ids.length, ids: Int32Array.from(ids), images: [] };
    const logits = languageLogits(model, tokens, { head: { rows: Int32Array.of(at - 1) } });
    const values = [...logits.dataSync()];
    logits.dispose();
    sum += values[ids[at]!]! - Math.log(values.reduce((total, value) => total + Math.exp(value), 0));
  }
  return sum;
}

test('labels of one and of several tokens get the model’s probability', async () => {
  const prompt = [1, 40, 50, 60];
  // More labels than are computed at once, of unequal lengths.
  const labels = Array.from({ length: 19 }, (_, i) => 'red blue green '.repeat(3).slice(0, 1 + i));
  const scores = await scoreLabels(model, prompt, labels);
  expect(new Set(scores.map(({ tokens }) => tokens)).size).toBeGreaterThan(5);
  for (const { label, logProbability } of scores)
    expect(Math.abs(logProbability - definition(prompt, label))).toBeLessThan(1e-4);
  const total = scores.reduce((sum, { logProbability }) => sum + Math.exp(logProbability), 0);
  for (const { logProbability, probability } of scores)
    expect(probability).toBeCloseTo(Math.exp(logProbability) / total, 6);
});

test('comparing by mean makes the comparison independent of length', async () => {
  const scores = await scoreLabels(model, [1, 40], ['a', 'a very long label'], { lengths: 'mean' });
  const means = scores.map(({ logProbability, tokens }) => Math.exp(logProbability / tokens));
  expect(scores[1]?.probability).toBeCloseTo(means[1]! / (means[0]! + means[1]!), 6);
});

test('no label, or one without a token, is refused', async () => {
  await expect(scoreLabels(model, [1], [])).rejects.toThrow('there are no labels');
});
