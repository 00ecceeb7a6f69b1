import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  countFlops,
  type Kernels,
  type OperationCount,
  openKernels,
  type RotaryTable,
} from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

let kernels: Kernels;
let counting: Kernels;
const counts: OperationCount[] = [];
beforeAll(async () => {
  kernels = await openKernels({ prefer: 'wasm' });
  counting = countFlops(kernels, (count) => counts.push(count));
});
afterAll(() => {
  kernels.dispose();
});
const zeros = (rows: number, columns: number) => tf.zeros<tf.Rank.R2>([rows, columns]);
const flopsOf = () => counts.splice(0).map(({ operation, kind, flops }) => [operation, kind, flops]);

test('a linear layer counts its base, its segments on their rows, and only the gradients that are needed', () => {
  tf.tidy(() => {
    const weight = counting.prepareLinear(new Float32Array(6), 3, 2);
    const segment = (train: boolean) => ({ a: zeros(4, 2), b: zeros(3, 4), scale: 1, train });
    const { saved } = counting.linear(zeros(5, 2), weight, [segment(true), segment(false)]);
    // 2 · 5 rows · (2 · 3 + 8 ranks · (2 + 3))
    expect(flopsOf()).toEqual([['linear', 'forward', 460]]);
    counting.linearBackward(zeros(5, 3), saved, weight, [segment(true), segment(false)], { input: true });
    expect(flopsOf()).toEqual([
      ['linearBackward', 'input', 460],
      ['linearBackward', 'weight', 2 * 5 * 4 * 5],
    ]);
    counting.linearBackward(zeros(5, 3), saved, weight, [segment(true), segment(false)], { input: false });
    // dy B was part of the input's gradient; now only the segment's gradient needs it.
    expect(flopsOf()).toEqual([['linearBackward', 'weight', 2 * 5 * 4 * 5 + 2 * 5 * 3 * 4]]);
    counting.linear(zeros(5, 2), weight, [{ ...segment(false), rows: { start: 1, end: 3 } }]);
    expect(flopsOf()).toEqual([['linear', 'forward', 2 * (5 * 6 + 2 * 4 * 5)]]);
    weight.dispose();
  });
});

test('attention counts all pairs of positions, and over a cache the pairs that exist', () => {
  tf.tidy(() => {
    const shape = { batch: 2, time: 3, heads: 2, kvHeads: 1, headDim: 4, causal: true };
    const { saved } = counting.attention(zeros(6, 8), zeros(6, 4), zeros(6, 4), shape);
    const product = 2 * 2 * 2 * 9 * 4;
    expect(flopsOf()).toEqual([['attention', 'forward', 2 * product]]);
    counting.attentionBackward(zeros(6, 8), saved, shape);
    expect(flopsOf()).toEqual([['attentionBackward', 'input', 4 * product]]);
    const rotary: RotaryTable = { time: 8, halfDim: 2, cos: new Float32Array(16), sin: new Float32Array(16) };
    const cache = counting.openCache({ layers: 1, batch: 2, kvHeads: 1, headDim: 4, rotary });
    const step = (counts: readonly number[]) => {
      const rows = 2 * Math.max(...counts);
      counting.cachedAttention(zeros(rows, 8), zeros(rows, 4), zeros(rows, 4), cache, {
        layer: 0,
        heads: 2,
        counts,
      });
      cache.advance(counts);
    };
    step([3, 1]);
    step([1, 2]);
    // Two products over 3 · 3 + 1 · 1 pairs, then 1 · 4 + 2 · 3, of two heads of 4.
    expect(flopsOf()).toEqual([
      ['cachedAttention', 'forward', 2 * 2 * 2 * 4 * 10],
      ['cachedAttention', 'forward', 2 * 2 * 2 * 4 * 10],
    ]);
    cache.dispose();
  });
});
