import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  expandWeight,
  openKernels,
  type Kernels,
  type KeyValueCache,
  type LoraSegment,
  type RotaryTable,
} from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import fc from 'fast-check';

import { backends, useBackend } from './backends.js';
import { columnsOf, compactOf, formatNames } from './compact-weights.js';
import { matrix, type Matrix, naiveLinear } from './naive.js';
import { expectClose, fewRuns, inScope, matrixOf, randomMatrix, randomRow, tensor } from './tensors.js';

const rotaryOf = (time: number, halfDim: number): RotaryTable => {
  const angle = (i: number) => Math.floor(i / halfDim) / 100 ** ((i % halfDim) / halfDim);
  const length = time * halfDim;
  return {
    time,
    halfDim,
    cos: Float32Array.from({ length }, (_, i) => Math.cos(angle(i))),
    sin: Float32Array.from({ length }, (_, i) => Math.sin(angle(i))),
  };
};
const rowsOf = ({ columns, values }: Matrix, from: number, to: number): Matrix => ({
  rows: to - from,
  columns,
  values: values.slice(from * columns, to * columns),
});
/** The rows of several matrices, each padded with arbitrary values to the same number of rows. */
const padded = (parts: readonly Matrix[], time: number): Matrix => {
  const columns = parts[0]?.columns ?? 0;
  return matrix(parts.length * time, columns, (row, column) => {
    const part = parts[Math.floor(row / time)];
    const t = row % time;
    return part && t < part.rows ? (part.values[t * columns + column] ?? NaN) : 7;
  });
};

describe.each(backends)('the %s backend', (backend) => {
  let kernels: Kernels;
  useBackend(backend, (opened) => {
    kernels = opened;
  });

  test('attention over a cache, a few positions at a time, equals attention over all positions, also for rows of different lengths', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          kvHeads: fc.integer({ min: 1, max: 2 }),
          group: fc.integer({ min: 1, max: 3 }),
          half: fc.integer({ min: 1, max: 5 }),
          // The new positions of two rows in each of up to four passes.
          passes: fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 })), {
            minLength: 1,
            maxLength: 4,
          }),
          capacity: fc.integer({ min: 1, max: 4 }),
          seed: fc.integer({ min: 1, max: 1e6 }),
        }),
        async ({ kvHeads, group, half, passes, capacity, seed }) => {
          await inScope(async () => {
            const [heads, headDim] = [kvHeads * group, half * 2];
            const rotary = rotaryOf(16, half);
            const totals = [0, 1].map((row) => passes.reduce((sum, pass) => sum + (pass[row] ?? 0), 0));
            const whole = totals.map((total, row) => ({
              q: randomMatrix(total, heads * headDim, seed + row),
              k: randomMatrix(total, kvHeads * headDim, seed + 10 + row),
              v: randomMatrix(total, kvHeads * headDim, seed + 20 + row),
            }));
            const cache = kernels.openCache({ layers: 1, batch: 2, kvHeads, headDim, rotary, capacity });
            const given: Matrix[][] = [[], []];
            for (const counts of passes) {
              const time = Math.max(...counts);
              if (time === 0) continue;
              const slice = (name: 'q' | 'k' | 'v') =>
                tensor(
                  padded(
                    whole.map((of, row) => {
                      const from = cache.lengths[row] ?? 0;
                      return rowsOf(of[name], from, from + (counts[row] ?? 0));
                    }),
                    time,
                  ),
                );
              const y = kernels.cachedAttention(slice('q'), slice('k'), slice('v'), cache, {
                layer: 0,
                heads,
                counts,
              });
              cache.advance(counts);
              for (const row of [0, 1])
                given[row]?.push(rowsOf(await matrixOf(y), row * time, row * time + (counts[row] ?? 0)));
            }
            expect(cache.lengths).toEqual(totals);
            for (const [row, { q, k, v }] of whole.entries()) {
              const time = totals[row] ?? 0;
              if (time === 0) continue;
              const shape = { batch: 1, time, heads, kvHeads, headDim, causal: true };
              const { y, saved } = kernels.attention(tensor(q), tensor(k), tensor(v), shape, {
                table: rotary,
              });
              saved.dispose();
              const values = (given[row] ?? []).flatMap((part) => [...part.values]);
              await expectClose(y, {
                rows: time,
                columns: heads * headDim,
                values: Float64Array.from(values),
              });
            }
            cache.dispose();
          });
        },
      ),
      { numRuns: 40, seed: 5 },
    );
  });

  test('a cache doubles when it is full, keeps its content when rows are selected, and can be truncated', async () => {
    await inScope(async () => {
      const rotary = rotaryOf(20, 2);
      const cache = kernels.openCache({ layers: 2, batch: 1, kvHeads: 1, headDim: 4, rotary, capacity: 2 });
      const step = async (seed: number, rows: number) => {
        const x = tensor(randomMatrix(rows, 4, seed));
        const counts = cache.lengths.map(() => rows / cache.batch);
        const ys = [0, 1].map((layer) =>
          kernels.cachedAttention(x, x, x, cache, { layer, heads: 1, counts }),
        );
        cache.advance(counts);
        return (await matrixOf(ys[1]!)).values;
      };
      const capacities: number[] = [];
      for (const seed of [1, 2, 3, 4, 5, 6]) {
        await step(seed, 1);
        capacities.push(cache.capacity);
      }
      expect(capacities).toEqual([2, 2, 4, 4, 8, 8]);
      expect(cache.memoryBytes).toBe(4 * (2 * 2 * 8 * 4 + 2 * 8 * 2));
      const next = await step(7, 1);
      cache.truncate([6]);
      cache.select([0, 0, 0]);
      expect(cache.lengths).toEqual([6, 6, 6]);
      const x = randomMatrix(1, 4, 7);
      const same = tensor(matrix(3, 4, (_, column) => x.values[column]!));
      const y = kernels.cachedAttention(same, same, same, cache, { layer: 1, heads: 1, counts: [1, 1, 1] });
      for (const row of [0, 1, 2])
        await expectClose(
          tf.slice(y, [row, 0], [1, 4]),
          matrix(1, 4, (_, i) => next[i]!),
        );
      expect(() => {
        cache.reserve(21);
      }).toThrow(
        'kernels/cache: 21 positions were requested, and the model has 20; shorten the prompt or generate less',
      );
      expect(() => {
        cache.select([3]);
      }).toThrow('there is no row 3; there are 3');
      expect(() => {
        cache.truncate([9, 1, 1]);
      }).toThrow('row 0 has 6 positions and cannot keep 9');
      cache.dispose();
    });
  });

  test('rows of another cache can be put among those of a cache, and attend to what they held', async () => {
    await inScope(async () => {
      const rotary = rotaryOf(20, 2);
      const open = (batch: number, capacity: number) =>
        kernels.openCache({ layers: 2, batch, kvHeads: 2, headDim: 4, rotary, capacity });
      const pass = async (cache: KeyValueCache, rows: readonly { seed: number; count: number }[]) => {
        const counts = rows.map(({ count }) => count);
        const time = Math.max(...counts);
        const values = rows.map(({ seed }) => randomMatrix(time, 8, seed).values);
        const x = tensor(
          matrix(
            rows.length * time,
            8,
            (row, column) => values[Math.floor(row / time)]![(row % time) * 8 + column]!,
          ),
        );
        const ys = [0, 1].map((layer) =>
          kernels.cachedAttention(x, x, x, cache, { layer, heads: 2, counts }),
        );
        cache.advance(counts);
        const all = (await matrixOf(ys[1]!)).values;
        return rows.map((_, row) => all.slice(row * time * 8, (row + 1) * time * 8));
      };
      const alone = async (seed: number, count: number) => {
        const cache = open(1, 4);
        await pass(cache, [{ seed, count }]);
        const [y] = await pass(cache, [{ seed: seed + 10, count: 1 }]);
        cache.dispose();
        return y!;
      };
      const [first, second] = [open(2, 3), open(2, 9)];
      await pass(first, [
        { seed: 1, count: 3 },
        { seed: 2, count: 2 },
      ]);
      await pass(second, [
        { seed: 3, count: 1 },
        { seed: 4, count: 7 },
      ]);
      first.select([3, 1, 2], second);
      expect(first.lengths).toEqual([7, 2, 1]);
      expect(first.capacity).toBe(9);
      expect(second.lengths).toEqual([1, 7]);
      const together = await pass(first, [
        { seed: 14, count: 1 },
        { seed: 12, count: 1 },
        { seed: 13, count: 1 },
      ]);
      for (const [i, expected] of [await alone(4, 7), await alone(2, 2), await alone(3, 1)].entries())
        for (const [j, value] of expected.entries()) expect(together[i]![j]).toBeCloseTo(value, 5);
      expect(() => {
        first.select([5], second);
      }).toThrow('there is no row 5; there are 5');
      const other = kernels.openCache({ layers: 1, batch: 1, kvHeads: 2, headDim: 4, rotary });
      expect(() => {
        first.select([0, 3], other);
      }).toThrow(
        'rows can be taken from a cache of the same model, got one of 1 layers of 2 × 4 for 2 layers of 2 × 4',
      );
      for (const cache of [first, second, other]) cache.dispose();
    });
  });

  test('a segment for some rows changes only these, and has no backward', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 1e6 }),
        async (before, count, rank, seed) => {
          await inScope(async () => {
            const rows = before + count + 1;
            const [x, w] = [randomMatrix(rows, 5, seed), randomMatrix(6, 5, seed + 1)];
            const [a, b] = [randomMatrix(rank, 5, seed + 2), randomMatrix(6, rank, seed + 3)];
            const weight = kernels.prepareLinear(Float32Array.from(w.values), 6, 5);
            const segment: LoraSegment = {
              a: tensor(a),
              b: tensor(b),
              scale: 0.5,
              train: true,
              rows: { start: before, end: before + count },
            };
            const { y, saved } = kernels.linear(tensor(x), weight, [segment]);
            const plain = naiveLinear(x, w, undefined, []);
            const adapted = naiveLinear(x, w, undefined, [{ a, b, scale: 0.5 }]);
            await expectClose(
              y,
              matrix(rows, 6, (row, column) => {
                const inside = row >= before && row < before + count;
                return (inside ? adapted : plain).values[row * 6 + column]!;
              }),
            );
            expect(() => kernels.linearBackward(y, saved, weight, [segment], { input: true })).toThrow(
              'has no backward',
            );
            saved.dispose();
            weight.dispose();
          });
        },
      ),
      { ...fewRuns, seed: 6 },
    );
  });
});

describe.each(['wasm', 'onnx'] as const)('products with a few rows on the %s backend', (backend) => {
  let kernels: Kernels;
  beforeAll(async () => {
    kernels = await openKernels({ prefer: backend });
  });
  afterAll(() => {
    kernels.dispose();
  });

  test.each(formatNames)(
    '%s weights give the products of their float32 values, before and after they move to the heap',
    async (format) => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 7 }),
          fc.integer({ min: 1, max: 6 }),
          fc.integer({ min: 1, max: 5 }),
          fc.constantFrom(1e-12, 1, 1e12),
          fc.boolean(),
          fc.integer({ min: 1, max: 1e6 }),
          async (rows, n, blocks, size, withBias, seed) => {
            await inScope(async () => {
              const k = blocks * columnsOf(format) - (format === 'f16' ? 3 : 0);
              const compact = compactOf(format, n, k, seed);
              const bias = withBias ? randomRow(n, seed + 1) : undefined;
              const w = { rows: n, columns: k, values: Float64Array.from(expandWeight(compact, n, k)) };
              const x = randomMatrix(rows, k, seed + 2);
              const scaled = { ...x, values: x.values.map((value) => Math.fround(value * size)) };
              const weight = kernels.prepareLinear(compact, n, k, bias && Float32Array.from(bias));
              const segment = {
                a: randomMatrix(2, k, seed + 3),
                b: randomMatrix(n, 2, seed + 4),
                scale: 0.5,
              };
              const expected = naiveLinear(scaled, w, bias, [segment]);
              const bound = 1e-5 * Math.max(size, 1) * k ** 0.5;
              for (let again = 0; again < 2; again++) {
                const { y, saved } = kernels.linear(tensor(scaled), weight, [
                  { a: tensor(segment.a), b: tensor(segment.b), scale: 0.5, train: false },
                ]);
                saved.dispose();
                const difference = [...(await y.data())].map((value, i) =>
                  Math.abs(value - expected.values[i]!),
                );
                expect(Math.max(...difference)).toBeLessThan(bound);
                // A weight on the heap must still work for many rows and for a backward.
                const many = randomMatrix(9, k, seed + 5);
                const wide = kernels.linear(tensor(many), weight);
                await expectClose(wide.y, naiveLinear(many, w, bias, []));
                const { dx } = kernels.linearBackward(wide.y, wide.saved, weight, [], { input: true });
                expect(dx?.shape).toEqual([9, k]);
                wide.saved.dispose();
              }
              weight.dispose();
            });
          },
        ),
        { numRuns: 12, seed: 7 },
      );
    },
  );

  test('a value that is not finite spoils only the products of its row', async () => {
    await inScope(async () => {
      const compact = compactOf('q4_1', 3, 64, 1);
      const weight = kernels.prepareLinear(compact, 3, 64);
      const values = new Float32Array(3 * 64).fill(1);
      values[5] = NaN;
      values[64 + 40] = Infinity;
      const { y } = kernels.linear(tf.tensor2d(values, [3, 64]), weight);
      expect([...(await y.data())].map(Number.isFinite)).toEqual([
        ...Array<boolean>(6).fill(false),
        true,
        true,
        true,
      ]);
      weight.dispose();
    });
  });
});
