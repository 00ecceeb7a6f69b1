/** Linear layers of the reference backend. */
import * as tf from '@contextlora/kernels/tfjs';

import type { CompactWeight } from '../compact/compact-formats.js';
import { expandWeight } from '../compact/expand-weight.js';
import type { IntegerWeight } from '../integer/integer-weight.js';
import type { InputDropout, LinearWeight, LoraSegment, Saved, SegmentGradient } from '../kernels.js';
import { requireLength } from '../require-length.js';
import { requireAllRows, requireSegments, requireShape } from '../require-shape.js';
import { prepareIntegers } from './integer-linear.js';

interface ReferenceWeight extends LinearWeight {
  /** x Wᵀ */
  readonly forward: (x: tf.Tensor2D) => tf.Tensor2D;
  /** dy W */
  readonly backward: (dy: tf.Tensor2D) => tf.Tensor2D;
  readonly bias: tf.Tensor1D | undefined;
}

export function prepareLinear(
  given: Float32Array | CompactWeight | IntegerWeight,
  outFeatures: number,
  inFeatures: number,
  bias?: Float32Array,
): ReferenceWeight {
  if (bias) requireLength('prepareLinear', 'the bias', bias.length, outFeatures);
  const sides =
    !(given instanceof Float32Array) && given.format === 'w8a8'
      ? prepareIntegers(given, outFeatures, inFeatures)
      : prepareFloats(given, outFeatures, inFeatures);
  const biasTensor = bias && tf.tensor1d(bias);
  return {
    outFeatures,
    inFeatures,
    hasBias: bias !== undefined,
    ...sides,
    bias: biasTensor,
    dispose: () => {
      sides.dispose();
      biasTensor?.dispose();
    },
  };
}

function prepareFloats(given: Float32Array | CompactWeight, outFeatures: number, inFeatures: number) {
  const weight = given instanceof Float32Array ? given : expandWeight(given, outFeatures, inFeatures);
  requireLength('prepareLinear', 'the weight', weight.length, outFeatures * inFeatures);
  // In both orientations, because tfjs's wasm backend multiplies transposes slowly.
  const rows = tf.tensor2d(weight, [outFeatures, inFeatures]);
  const columns = tf.transpose(rows);
  return {
    forward: (x: tf.Tensor2D): tf.Tensor2D => tf.matMul(x, columns),
    backward: (dy: tf.Tensor2D): tf.Tensor2D => tf.matMul(dy, rows),
    dispose: () => {
      tf.dispose([rows, columns]);
    },
  };
}

export interface LinearSaved extends Saved {
  readonly x: tf.Tensor2D;
  /** scale · x Aᵀ of each segment, `[rows, rank]`. */
  readonly hidden: readonly tf.Tensor2D[];
}

export function linear(x: tf.Tensor2D, weight: LinearWeight, segments: readonly LoraSegment[] = []) {
  const { forward, bias, inFeatures } = weight as ReferenceWeight;
  requireShape('linear', 'x', x, [null, inFeatures]);
  requireSegments('linear', segments, weight, x.shape[0]);
  const { y, hidden } = tf.tidy(() => {
    const hs = segments.map(({ a, scale, dropout, rows: { start, end } = { start: 0, end: x.shape[0] } }) =>
      tf.mul<tf.Tensor2D>(
        tf.matMul(tf.slice(withDropout(x, dropout), [start, 0], [end - start, -1]), tf.transpose(a)),
        scale,
      ),
    );
    let sum: tf.Tensor2D = forward(x);
    if (bias) sum = tf.add(sum, bias);
    for (const [i, { b, rows }] of segments.entries()) {
      const delta = tf.matMul(hs[i]!, tf.transpose(b));
      const after = x.shape[0] - (rows?.end ?? x.shape[0]);
      sum = tf.add(
        sum,
        rows
          ? tf.pad(delta, [
              [rows.start, after],
              [0, 0],
            ])
          : delta,
      );
    }
    return { y: sum, hidden: hs };
  });
  const saved: LinearSaved = {
    x,
    hidden,
    dispose: () => {
      tf.dispose(hidden);
    },
  };
  return { y, saved };
}

/** The values with what is left out, or as they are. */
const withDropout = (values: tf.Tensor2D, dropout: InputDropout | undefined): tf.Tensor2D =>
  dropout
    ? tf.mul(
        values,
        tf.tensor2d(
          Float32Array.from(dropout.kept, (kept) => kept * dropout.scale),
          values.shape,
        ),
      )
    : values;

export function linearBackward(
  dy: tf.Tensor2D,
  saved: Saved,
  weight: LinearWeight,
  segments: readonly LoraSegment[],
  needed: { readonly input: boolean },
) {
  const { backward, outFeatures } = weight as ReferenceWeight;
  const { x, hidden } = saved as LinearSaved;
  requireShape('linearBackward', 'dy', dy, [x.shape[0], outFeatures]);
  for (const segment of segments) requireAllRows('linearBackward', segment.rows);
  return tf.tidy(() => {
    let dx: tf.Tensor2D | null = needed.input ? backward(dy) : null;
    const gradients = segments.map(({ a, b, scale, train, dropout }, i): SegmentGradient | null => {
      if (!train && !needed.input) return null;
      const dh = tf.mul(tf.matMul(dy, b), scale) as tf.Tensor2D; // [rows, rank]
      if (dx) dx = tf.add(dx, withDropout(tf.matMul(dh, a), dropout));
      const h = hidden[i];
      if (!train || !h) return null;
      return {
        a: tf.matMul(tf.transpose(dh), withDropout(x, dropout)),
        b: tf.transpose(tf.matMul(tf.transpose(h), dy)),
      };
    });
    // Nulls and plain objects pass through tidy; only its types do not allow them.
    return { dx, segments: gradients } as unknown as tf.TensorContainer;
  }) as unknown as { dx: tf.Tensor2D | null; segments: (SegmentGradient | null)[] };
}
