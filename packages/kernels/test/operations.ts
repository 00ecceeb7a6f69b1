/** Every operation that takes tensors, with operands that fit it, for tests with hostile operands. */
import { integerWeight, type Kernels, type Saved } from '@contextlora/kernels';
import type * as tf from '@contextlora/kernels/tfjs';

import { randomMatrix, tensor } from './tensors.js';

export interface Operation {
  readonly name: string;
  /** The shape of each operand. */
  readonly operands: Readonly<Record<string, readonly [number, number]>>;
  /** For a forward and its backward, `between` runs after the forward. */
  run(operands: Readonly<Record<string, tf.Tensor2D>>, between?: () => void): tf.Tensor[];
}

export interface Operations {
  readonly list: readonly Operation[];
  dispose(): void;
}

/** Random operands of the right shapes. */
export const fittingOperands = ({ operands }: Operation): Record<string, tf.Tensor2D> =>
  Object.fromEntries(
    Object.entries(operands).map(([name, [rows, columns]], i) => [
      name,
      tensor(randomMatrix(rows, columns, 20 + i)),
    ]),
  );

const [rows, features, out] = [4, 8, 6];
const shape = { batch: 1, time: rows, heads: 2, kvHeads: 1, headDim: 4, causal: true };
const half = shape.headDim / 2;
const table = {
  time: rows,
  halfDim: half,
  cos: Float32Array.from({ length: rows * half }, (_, i) => Math.cos(i)),
  sin: Float32Array.from({ length: rows * half }, (_, i) => Math.sin(i)),
};
const floats = (length: number, seed: number) => Float32Array.from(randomMatrix(1, length, seed).values);

const segmentOf = (a: tf.Tensor2D, b: tf.Tensor2D) => ({ a, b, scale: 2, train: true });

/** Opens all operations of a backend over one base weight. */
export function openOperations(kernels: Kernels): Operations {
  const weight = kernels.prepareLinear(floats(out * features, 1), out, features, floats(out, 2));
  const integers = kernels.prepareLinear(
    integerWeight(floats(out * features, 1), out, features),
    out,
    features,
  );
  const [gain, bias] = [floats(features, 3), floats(features, 4)];
  const [targets, weights] = [Int32Array.of(0, 5, 2, 1), new Float32Array(rows).fill(0.25)];
  const x: readonly [number, number] = [rows, features];
  const narrow: readonly [number, number] = [rows, shape.kvHeads * shape.headDim];

  // Made in advance, so that only the kernels make tensors during a run.
  const owned: tf.Tensor[] = [];
  const random = (columns: number, seed: number, count = rows) => {
    const made = tensor(randomMatrix(count, columns, seed));
    owned.push(made);
    return made;
  };
  const [one, two] = [random(features, 5), random(features, 6)];
  const [key, value] = [random(narrow[1], 7), random(narrow[1], 8)];
  const segments = [segmentOf(random(features, 9, 2), random(2, 10, out))];

  /** A backward over fixed operands of its forward. */
  const pair = (
    name: string,
    forward: () => { y: tf.Tensor; saved: Saved },
    backward: (dy: tf.Tensor2D, saved: Saved) => tf.Tensor[],
    dy = x,
  ): Operation => ({
    name,
    operands: { dy },
    run(operands, between = () => undefined) {
      const { saved } = forward();
      between();
      const gradients = backward(operands['dy']!, saved);
      saved.dispose();
      return gradients;
    },
  });
  const single = (
    name: string,
    operands: Operation['operands'],
    apply: (operands: Readonly<Record<string, tf.Tensor2D>>) => { y: tf.Tensor; saved: Saved },
  ): Operation => ({
    name,
    operands,
    run(given) {
      const { y, saved } = apply(given);
      saved.dispose();
      return [y];
    },
  });
  const attend = () => kernels.attention(one, key, value, shape, { table });

  const list: Operation[] = [
    single('linear', { x, a: [2, features], b: [out, 2] }, ({ x, a, b }) =>
      kernels.linear(x!, weight, [segmentOf(a!, b!)]),
    ),
    {
      name: 'linearBackward',
      operands: { dy: [rows, out] },
      run({ dy }, between = () => undefined) {
        const { saved } = kernels.linear(one, weight, segments);
        between();
        const { dx, segments: gradients } = kernels.linearBackward(dy!, saved, weight, segments, {
          input: true,
        });
        saved.dispose();
        return [dx!, gradients[0]!.a, gradients[0]!.b];
      },
    },
    single('linear over an integer weight', { x, a: [2, features], b: [out, 2] }, ({ x, a, b }) =>
      kernels.linear(x!, integers, [segmentOf(a!, b!)]),
    ),
    pair(
      'linearBackward over an integer weight',
      () => kernels.linear(one, integers, segments),
      (dy, saved) => {
        const { dx, segments: made } = kernels.linearBackward(dy, saved, integers, segments, { input: true });
        return [dx!, made[0]!.a, made[0]!.b];
      },
      [rows, out],
    ),
    single('rmsNorm', { x }, ({ x }) => kernels.rmsNorm(x!, gain, 1e-5)),
    pair(
      'rmsNormBackward',
      () => kernels.rmsNorm(one, gain, 1e-5),
      (dy, saved) => [kernels.rmsNormBackward(dy, saved, gain)],
    ),
    single('layerNorm', { x }, ({ x }) => kernels.layerNorm(x!, gain, bias, 1e-5)),
    pair(
      'layerNormBackward',
      () => kernels.layerNorm(one, gain, bias, 1e-5),
      (dy, saved) => [kernels.layerNormBackward(dy, saved, gain)],
    ),
    { name: 'rotary', operands: { x }, run: ({ x }) => [kernels.rotary(x!, table, shape)] },
    {
      name: 'rotaryBackward',
      operands: { dy: x },
      run: ({ dy }) => [kernels.rotaryBackward(dy!, table, shape)],
    },
    single('attention', { q: x, k: narrow, v: narrow }, ({ q, k, v }) =>
      kernels.attention(q!, k!, v!, shape, { table }),
    ),
    pair('attentionBackward', attend, (dy, saved) =>
      Object.values(kernels.attentionBackward(dy, saved, shape, { table })),
    ),
    {
      name: 'cachedAttention',
      operands: { q: x, k: narrow, v: narrow },
      run({ q, k, v }) {
        const { kvHeads, headDim, heads } = shape;
        const cache = kernels.openCache({ layers: 1, batch: 1, kvHeads, headDim, rotary: table });
        try {
          return [kernels.cachedAttention(q!, k!, v!, cache, { layer: 0, heads, counts: [rows] })];
        } finally {
          cache.dispose();
        }
      },
    },
    single('swiglu', { gate: x, up: x }, ({ gate, up }) => kernels.swiglu(gate!, up!)),
    pair(
      'swigluBackward',
      () => kernels.swiglu(one, two),
      (dy, saved) => Object.values(kernels.swigluBackward(dy, saved)),
    ),
    ...(['tanh', 'erf', 'quick'] as const).flatMap((variant) => [
      single(`geglu ${variant}`, { gate: x, up: x }, ({ gate, up }) => kernels.geglu(gate!, up!, variant)),
      pair(
        `gegluBackward ${variant}`,
        () => kernels.geglu(one, two, variant),
        (dy, saved) => Object.values(kernels.gegluBackward(dy, saved)),
      ),
      single(`gelu ${variant}`, { x }, ({ x }) => kernels.gelu(x!, variant)),
      pair(
        `geluBackward ${variant}`,
        () => kernels.gelu(one, variant),
        (dy, saved) => [kernels.geluBackward(dy, saved)],
      ),
    ]),
    { name: 'add', operands: { x, y: x }, run: ({ x, y }) => [kernels.add(x!, y!)] },
    { name: 'gatherRows', operands: { x }, run: ({ x }) => [kernels.gatherRows(x!, Int32Array.of(2, 0))] },
    {
      name: 'gatherRowsBackward',
      operands: { dy: x },
      run: ({ dy }) => [kernels.gatherRowsBackward(dy!, Int32Array.of(1, 0, 1, 2), 5)],
    },
    {
      name: 'crossEntropy',
      operands: { logits: [rows, out] },
      run: ({ logits }) => [kernels.crossEntropy(logits!, targets, weights).dLogits],
    },
    {
      name: 'linearCrossEntropy',
      operands: { x },
      run: ({ x }) => [kernels.linearCrossEntropy(x!, weight, targets, weights, { input: true }).dx!],
    },
  ];
  return {
    list,
    dispose() {
      weight.dispose();
      integers.dispose();
      for (const made of owned) made.dispose();
    },
  };
}
