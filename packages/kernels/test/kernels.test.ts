import { describe, expect, test } from '@jest/globals';
import {
  describeBackends,
  loadOnnxRuntime,
  openKernels,
  type Kernels,
  type LoraSegment,
} from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import fc from 'fast-check';

import { backends, useBackend } from './backends.js';
import {
  elementwise,
  erf,
  naiveAttention,
  naiveLayerNorm,
  naiveLinear,
  naiveRmsNorm,
  naiveRotary,
  numericGradient,
} from './naive.js';
import { expectClose, fewRuns, inScope as check, randomMatrix, randomRow, sizes, tensor } from './tensors.js';

const attentionShapes = fc
  .record({
    batch: fc.integer({ min: 1, max: 2 }),
    time: fc.integer({ min: 1, max: 4 }),
    kvHeads: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 2 }),
    half: fc.integer({ min: 1, max: 2 }),
    causal: fc.boolean(),
    padded: fc.boolean(),
    seed: fc.integer({ min: 1, max: 1e6 }),
  })
  .map(({ group, half, padded, ...shape }) => ({
    ...shape,
    heads: shape.kvHeads * group,
    headDim: 2 * half,
    ...(padded && !shape.causal
      ? { firstKeys: Array.from({ length: shape.batch }, (_, i) => i % shape.time) }
      : {}),
  }));
test('the native backend is reported as available exactly if its runtime loads, and otherwise the reason is given', async () => {
  const backends = await describeBackends();
  expect(backends.find(({ backend }) => backend === 'reference')?.available).toBe(true);
  const native = backends.find(({ backend }) => backend === 'onnx');
  const runtime = loadOnnxRuntime();
  expect(native?.available).toBe(typeof runtime !== 'string');
  if (typeof runtime === 'string') {
    expect(native?.detail).toBe(runtime);
    await expect(openKernels({ prefer: 'onnx' })).rejects.toThrow(runtime);
  } else expect((await openKernels()).backend).toBe('onnx');
});

describe.each(backends)('the %s backend', (backend) => {
  let kernels: Kernels;
  useBackend(backend, (opened) => {
    kernels = opened;
  });
  test('linear with several segments equals its definition, forward and backward', async () => {
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.array(fc.record({ rank: fc.integer({ min: 1, max: 3 }), train: fc.boolean() }), { maxLength: 3 }),
        fc.boolean(),
        fc.boolean(),
        async ({ rows, inFeatures, outFeatures, seed }, spans, withBias, input) => {
          await check(async () => {
            const x = randomMatrix(rows, inFeatures, seed);
            const w = randomMatrix(outFeatures, inFeatures, seed + 1);
            const dy = randomMatrix(rows, outFeatures, seed + 2);
            const bias = withBias ? randomRow(outFeatures, seed + 3) : undefined;
            const naive = spans.map(({ rank, train }, i) => ({
              a: randomMatrix(rank, inFeatures, seed + 10 + i),
              b: randomMatrix(outFeatures, rank, seed + 20 + i),
              scale: 0.5 + i,
              train,
            }));
            const segments = naive.map(({ a, b, scale, train }): LoraSegment => ({
              a: tensor(a),
              b: tensor(b),
              scale,
              train,
            }));
            const weight = kernels.prepareLinear(
              Float32Array.from(w.values),
              outFeatures,
              inFeatures,
              bias && Float32Array.from(bias),
            );
            const { y, saved } = kernels.linear(tensor(x), weight, segments);
            const define = () => naiveLinear(x, w, bias, naive);
            await expectClose(y, define());

            const { dx, segments: gradients } = kernels.linearBackward(tensor(dy), saved, weight, segments, {
              input,
            });
            if (input) await expectClose(dx as tf.Tensor, numericGradient(x, dy, define));
            else expect(dx).toBeNull();
            for (const [i, { a, b, train }] of naive.entries()) {
              if (!train) {
                expect(gradients[i]).toBeNull();
                continue;
              }
              await expectClose(gradients[i]?.a as tf.Tensor, numericGradient(a, dy, define));
              await expectClose(gradients[i]?.b as tf.Tensor, numericGradient(b, dy, define));
            }
            saved.dispose();
            weight.dispose();
          });
        },
      ),
      fewRuns,
    );
  });

  test('norms equal their definitions, forward and backward', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, async ({ rows, inFeatures, seed }) => {
        const columns = inFeatures + 1;
        await check(async () => {
          const x = randomMatrix(rows, columns, seed);
          const dy = randomMatrix(rows, columns, seed + 1);
          const gain = randomRow(columns, seed + 2);
          const bias = randomRow(columns, seed + 3);
          const [gain32, bias32] = [Float32Array.from(gain), Float32Array.from(bias)];
          const xt = tensor(x);

          const rms = kernels.rmsNorm(xt, gain32, 1e-3);
          await expectClose(rms.y, naiveRmsNorm(x, gain, 1e-3));
          await expectClose(
            kernels.rmsNormBackward(tensor(dy), rms.saved, gain32),
            numericGradient(x, dy, () => naiveRmsNorm(x, gain, 1e-3)),
          );
          rms.saved.dispose();

          const layer = kernels.layerNorm(xt, gain32, bias32, 1e-2);
          await expectClose(layer.y, naiveLayerNorm(x, gain, bias, 1e-2));
          await expectClose(
            kernels.layerNormBackward(tensor(dy), layer.saved, gain32),
            numericGradient(x, dy, () => naiveLayerNorm(x, gain, bias, 1e-2)),
          );
          layer.saved.dispose();
        });
      }),
      fewRuns,
    );
  });

  test('rotary embedding equals its definition, and its backward rotates back', async () => {
    await fc.assert(
      fc.asyncProperty(
        attentionShapes,
        fc.integer({ min: 0, max: 3 }),
        async ({ batch, time, heads, headDim, seed }, offset) => {
          await check(async () => {
            const half = headDim / 2;
            const angle = (i: number) => Math.floor(i / half) / 100 ** ((i % half) / half);
            const length = (time + offset) * half;
            const table = {
              time: time + offset,
              halfDim: half,
              cos: Float32Array.from({ length }, (_, i) => Math.cos(angle(i))),
              sin: Float32Array.from({ length }, (_, i) => Math.sin(angle(i))),
            };
            const x = randomMatrix(batch * time, heads * headDim, seed);
            const shape = { batch, time, heads, headDim };
            const y = kernels.rotary(tensor(x), table, shape, offset);
            await expectClose(y, naiveRotary(x, { time, headDim, offset, theta: 100 }));
            await expectClose(kernels.rotaryBackward(y, table, shape, offset), x);
          });
        },
      ),
      fewRuns,
    );
  });

  test('attention equals its definition with groups, causality and padding, forward and backward', async () => {
    await fc.assert(
      fc.asyncProperty(attentionShapes, async ({ seed, ...shape }) => {
        await check(async () => {
          const { batch, time, heads, kvHeads, headDim } = shape;
          const q = randomMatrix(batch * time, heads * headDim, seed);
          const k = randomMatrix(batch * time, kvHeads * headDim, seed + 1);
          const v = randomMatrix(batch * time, kvHeads * headDim, seed + 2);
          const dy = randomMatrix(batch * time, heads * headDim, seed + 3);
          const { y, saved } = kernels.attention(tensor(q), tensor(k), tensor(v), shape);
          const define = () => naiveAttention(q, k, v, shape);
          await expectClose(y, define());
          const { dq, dk, dv } = kernels.attentionBackward(tensor(dy), saved, shape);
          await expectClose(dq, numericGradient(q, dy, define));
          await expectClose(dk, numericGradient(k, dy, define));
          await expectClose(dv, numericGradient(v, dy, define));
          saved.dispose();
        });
      }),
      fewRuns,
    );
  });

  test('gated and plain activations equal their definitions, forward and backward', async () => {
    const silu = (g: number) => g / (1 + Math.exp(-g));
    const gelus = {
      tanh: (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
      erf: (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
      quick: (x: number) => x / (1 + Math.exp(-1.702 * x)),
    };
    await fc.assert(
      fc.asyncProperty(sizes, async ({ rows, inFeatures, seed }) => {
        await check(async () => {
          const gate = randomMatrix(rows, inFeatures, seed);
          const up = randomMatrix(rows, inFeatures, seed + 1);
          const dy = randomMatrix(rows, inFeatures, seed + 2);
          const define = () => elementwise(gate, (g, i) => silu(g) * (up.values[i] ?? NaN));
          const forward = kernels.swiglu(tensor(gate), tensor(up));
          await expectClose(forward.y, define());
          const { dGate, dUp } = kernels.swigluBackward(tensor(dy), forward.saved);
          await expectClose(dGate, numericGradient(gate, dy, define));
          await expectClose(dUp, numericGradient(up, dy, define));
          for (const variant of ['tanh', 'erf', 'quick'] as const) {
            const gelu = kernels.gelu(tensor(gate), variant);
            await expectClose(gelu.y, elementwise(gate, gelus[variant]));
            await expectClose(
              kernels.geluBackward(tensor(dy), gelu.saved),
              numericGradient(gate, dy, () => elementwise(gate, gelus[variant])),
            );
          }
        });
      }),
      fewRuns,
    );
  });

  test('rows are gathered, and the gradients of a row that is used twice are added', async () => {
    await check(async () => {
      const x = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
      const picked = Int32Array.of(2, 0, 2);
      expect([...(await kernels.gatherRows(x, picked).data())]).toEqual([5, 6, 1, 2, 5, 6]);
      const dy = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
      expect([...(await kernels.gatherRowsBackward(dy, picked, 3).data())]).toEqual([3, 4, 0, 0, 6, 8]);
    });
  });

  test('cross-entropy equals its definition, does not overflow, and leaves out rows of weight 0', async () => {
    await check(async () => {
      const logits = tf.tensor2d([0.5, -1, 2, 400, 0, -400, 9, 9, 9], [3, 3]);
      const { loss, dLogits } = kernels.crossEntropy(
        logits,
        Int32Array.of(2, 2, 0),
        Float32Array.of(0.5, 0.5, 0),
      );
      const first = -2 + Math.log(Math.exp(0.5) + Math.exp(-1) + Math.exp(2));
      expect(await loss).toBeCloseTo(0.5 * first + 0.5 * 800, 4);
      const gradient = [...(await dLogits.data())];
      expect(gradient.slice(3)).toEqual([0.5, 0, -0.5, 0, 0, 0]);
      expect(gradient[2]).toBeCloseTo(0.5 * (Math.exp(2) / Math.exp(2 + first) - 1), 6);
      expect([...(await logits.data())].slice(0, 3)).toEqual([0.5, -1, 2]);
    });
  });

  test('a wrong shape is an error that names the operand', async () => {
    await check(() => {
      const weight = kernels.prepareLinear(new Float32Array(6), 2, 3);
      expect(() => kernels.linear(tf.zeros([4, 2]), weight)).toThrow(
        'kernels/linear: x must be float32 [any, 3], got float32 [4, 2]',
      );
      const { saved } = kernels.linear(tf.zeros([4, 3]), weight);
      expect(() => kernels.linearBackward(tf.zeros([4, 3]), saved, weight, [], { input: true })).toThrow(
        'kernels/linearBackward: dy',
      );
      expect(() => kernels.rmsNorm(tf.zeros([4, 2]), new Float32Array(3), 1e-5)).toThrow(
        'kernels/rmsNorm: x',
      );
      expect(() =>
        kernels.attention(tf.zeros([4, 6]), tf.zeros([4, 4]), tf.zeros([4, 4]), {
          batch: 2,
          time: 2,
          heads: 3,
          kvHeads: 2,
          headDim: 2,
          causal: true,
        }),
      ).toThrow('3 heads cannot share 2');
      expect(() => kernels.crossEntropy(tf.zeros([1, 3]), Int32Array.of(3), Float32Array.of(1))).toThrow(
        'target 3 of row 0',
      );
      weight.dispose();
    });
  });

  test('the same call gives the same bits', async () => {
    await check(async () => {
      const [x, w] = [randomMatrix(9, 33, 5), randomMatrix(17, 33, 6)];
      const weight = kernels.prepareLinear(Float32Array.from(w.values), 17, 33);
      const once = async () => [...(await kernels.linear(tensor(x), weight).y.data())];
      expect(await once()).toEqual(await once());
      weight.dispose();
    });
  });
});

describe('AdamW', () => {
  test('follows the formula with decoupled decay and bias correction', async () => {
    const kernels = await openKernels({ prefer: 'reference' });
    const p = Float32Array.of(1, -2);
    const [m, v] = [new Float32Array(2), new Float32Array(2)];
    const options = {
      learningRate: 0.1,
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-8,
      weightDecay: 0.5,
      gradientScale: 2,
    };
    kernels.adamW(p, Float32Array.of(0.5, 0), m, v, { ...options, step: 1 });
    // After one step m̂ = g and √v̂ = |g|, so p changes by lr · sign(g); a zero gradient leaves only the decay.
    expect(p[0]).toBeCloseTo(1 - 0.1 * 0.5 * 1 - 0.1, 6);
    expect(p[1]).toBeCloseTo(-2 * (1 - 0.1 * 0.5), 6);
    expect(() => {
      kernels.adamW(p, new Float32Array(3), m, v, { ...options, step: 2 });
    }).toThrow('kernels/adamW: gradients');
  });
});
