/**
 * The reference ground: every operation composed of tfjs-core operations, for tfjs backends that can be read synchronously
 * (tested on wasm; WebGPU cannot be).
 *
 * It is written for the wasm backend's habits: only an unbatched matrix product without transposes is fast there, so weights are
 * kept in both orientations and small operands are transposed first; masks are added, never selected; grouped-query attention
 * reshapes instead of repeating keys.
 */
import * as tf from '@tensorflow/tfjs-core';

import { adamW } from './adam-w.js';
import { attentionMask } from './attention-mask.js';
import type { CompactWeight } from './compact-weight.js';
import { crossEntropyInPlace } from './cross-entropy.js';
import { expandWeight } from './expand-weight.js';
import type {
  AttentionShape,
  Forward,
  GeluVariant,
  Kernels,
  LinearWeight,
  LoraSegment,
  RotaryPositions,
  RotaryShape,
  RotaryTable,
  Saved,
  SegmentGradient,
} from './kernels.js';
import { patchesOf } from './patches.js';
import { referenceCachedAttention } from './reference-cached-attention.js';
import { requireAttention, requireRotary } from './require-attention.js';
import { requireIndices, requireLength, requireSegments, requireShape } from './require-shape.js';

/** Makes the reference ground on the tfjs backend that is set. */
export function createReferenceKernels(): Kernels {
  return {
    ground: 'reference',
    prepareLinear,
    linear,
    linearBackward,
    rmsNorm,
    rmsNormBackward,
    layerNorm,
    layerNormBackward,
    rotary: (x, table, shape, offset = 0) => rotate(x, table, shape, offset, 1),
    rotaryBackward: (dy, table, shape, offset = 0) => rotate(dy, table, shape, offset, -1),
    attention,
    attentionBackward,
    ...referenceCachedAttention,
    swiglu,
    swigluBackward,
    geglu,
    gegluBackward,
    embedding(table, ids, features) {
      requireIndices('embedding', ids, table.length / features);
      const values = new Float32Array(ids.length * features);
      for (const [i, id] of ids.entries())
        values.set(table.subarray(id * features, (id + 1) * features), i * features);
      return tf.tensor2d(values, [ids.length, features]);
    },
    patchEmbedding(images, weight, shape, segments = []) {
      const values = patchesOf(images, shape);
      const patches = tf.tensor2d(values, [values.length / weight.inFeatures, weight.inFeatures]);
      const { y, saved } = linear(patches, weight, segments);
      const owning: LinearSaved = {
        ...saved,
        dispose: () => {
          saved.dispose();
          patches.dispose();
        },
      };
      return { y, saved: owning };
    },
    gelu,
    geluBackward,
    add(x, y) {
      requireShape('add', 'y', y, x.shape);
      return tf.add(x, y);
    },
    gatherRows(x, indices) {
      requireIndices('gatherRows', indices, x.shape[0]);
      return tf.tidy(() => tf.gather(x, tf.tensor1d(indices, 'int32')));
    },
    gatherRowsBackward,
    crossEntropy(logits, targets, weights) {
      const [rows, columns] = logits.shape;
      requireLength('crossEntropy', 'targets', targets.length, rows);
      requireLength('crossEntropy', 'weights', weights.length, rows);
      const values = Float32Array.from(logits.dataSync());
      const loss = crossEntropyInPlace(values, targets, weights);
      return { loss, dLogits: tf.tensor2d(values, [rows, columns]) };
    },
    linearCrossEntropy(x, weight, targets, weights, { input }) {
      const { y, saved } = linear(x, weight);
      const values = y.dataSync() as Float32Array;
      y.dispose();
      requireLength('crossEntropy', 'targets', targets.length, x.shape[0]);
      requireLength('crossEntropy', 'weights', weights.length, x.shape[0]);
      const loss = crossEntropyInPlace(values, targets, weights);
      if (!input) return { loss, dx: null };
      const dLogits = tf.tensor2d(values, [x.shape[0], weight.outFeatures]);
      const { dx } = linearBackward(dLogits, saved, weight, [], { input });
      dLogits.dispose();
      return { loss, dx };
    },
    adamW,
    dispose: () => undefined,
  };
}

interface ReferenceWeight extends LinearWeight {
  /** `[out, in]` */
  readonly rows: tf.Tensor2D;
  /** `[in, out]` */
  readonly columns: tf.Tensor2D;
  readonly bias: tf.Tensor1D | undefined;
}

function prepareLinear(
  given: Float32Array | CompactWeight,
  outFeatures: number,
  inFeatures: number,
  bias?: Float32Array,
): ReferenceWeight {
  const weight = given instanceof Float32Array ? given : expandWeight(given, outFeatures, inFeatures);
  requireLength('prepareLinear', 'the weight', weight.length, outFeatures * inFeatures);
  if (bias) requireLength('prepareLinear', 'the bias', bias.length, outFeatures);
  const rows = tf.tensor2d(weight, [outFeatures, inFeatures]);
  const columns = tf.transpose(rows);
  const biasTensor = bias && tf.tensor1d(bias);
  return {
    outFeatures,
    inFeatures,
    hasBias: bias !== undefined,
    rows,
    columns,
    bias: biasTensor,
    dispose: () => {
      tf.dispose([rows, columns, ...(biasTensor ? [biasTensor] : [])]);
    },
  };
}

interface LinearSaved extends Saved {
  readonly x: tf.Tensor2D;
  /** scale · x Aᵀ per segment, `[rows, rank]`. */
  readonly hidden: readonly tf.Tensor2D[];
}

function linear(x: tf.Tensor2D, weight: LinearWeight, segments: readonly LoraSegment[] = []) {
  const { columns, bias, inFeatures } = weight as ReferenceWeight;
  requireShape('linear', 'x', x, [null, inFeatures]);
  requireSegments('linear', segments, weight, x.shape[0]);
  const { y, hidden } = tf.tidy(() => {
    const hs = segments.map(({ a, scale, rows: { start, end } = { start: 0, end: x.shape[0] } }) =>
      tf.mul<tf.Tensor2D>(tf.matMul(tf.slice(x, [start, 0], [end - start, -1]), tf.transpose(a)), scale),
    );
    let sum: tf.Tensor2D = tf.matMul(x, columns);
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

function linearBackward(
  dy: tf.Tensor2D,
  saved: Saved,
  weight: LinearWeight,
  segments: readonly LoraSegment[],
  owed: { readonly input: boolean },
) {
  const { rows, outFeatures } = weight as ReferenceWeight;
  const { x, hidden } = saved as LinearSaved;
  requireShape('linearBackward', 'dy', dy, [x.shape[0], outFeatures]);
  if (segments.some((segment) => segment.rows))
    throw new Error('kernels/linearBackward: a segment for some rows only has no backward');
  return tf.tidy(() => {
    let dx: tf.Tensor2D | null = owed.input ? tf.matMul(dy, rows) : null;
    const gradients = segments.map(({ a, b, scale, train }, i): SegmentGradient | null => {
      if (!train && !owed.input) return null;
      const dh = tf.mul(tf.matMul(dy, b), scale) as tf.Tensor2D; // [rows, rank]
      if (dx) dx = tf.add(dx, tf.matMul(dh, a));
      const h = hidden[i];
      if (!train || !h) return null;
      return {
        a: tf.matMul(tf.transpose(dh), x),
        b: tf.transpose(tf.matMul(tf.transpose(h), dy)),
      };
    });
    // Nulls and plain objects pass through tidy, which only its types do not know.
    return { dx, segments: gradients } as unknown as tf.TensorContainer;
  }) as unknown as { dx: tf.Tensor2D | null; segments: (SegmentGradient | null)[] };
}

interface NormSaved extends Saved {
  /** The normalised rows, before gain. */
  readonly normalised: tf.Tensor2D;
  /** 1 / root mean square (or deviation), `[rows, 1]`. */
  readonly inverse: tf.Tensor2D;
}

const normSaved = (normalised: tf.Tensor2D, inverse: tf.Tensor2D): NormSaved => ({
  normalised,
  inverse,
  dispose: () => {
    tf.dispose([normalised, inverse]);
  },
});

function rmsNorm(x: tf.Tensor2D, gain: Float32Array, epsilon: number) {
  requireShape('rmsNorm', 'x', x, [null, gain.length]);
  const [y, normalised, inverse] = tf.tidy(() => {
    const q = tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), epsilon)) as tf.Tensor2D;
    const n = tf.mul(x, q) as tf.Tensor2D;
    return [tf.mul(n, tf.tensor1d(gain)) as tf.Tensor2D, n, q] as const;
  });
  return { y, saved: normSaved(normalised, inverse) };
}

/** dx = q (dy·g − n · mean(dy·g·n)) */
function rmsNormBackward(dy: tf.Tensor2D, saved: Saved, gain: Float32Array): tf.Tensor2D {
  const { normalised: n, inverse: q } = saved as NormSaved;
  requireShape('rmsNormBackward', 'dy', dy, n.shape);
  return tf.tidy(() => {
    const dn = tf.mul(dy, tf.tensor1d(gain));
    const mean = tf.mean(tf.mul(dn, n), 1, true);
    return tf.mul(tf.sub(dn, tf.mul(n, mean)), q) as tf.Tensor2D;
  });
}

function layerNorm(x: tf.Tensor2D, gain: Float32Array, bias: Float32Array, epsilon: number) {
  requireShape('layerNorm', 'x', x, [null, gain.length]);
  requireLength('layerNorm', 'the bias', bias.length, gain.length);
  const [y, normalised, inverse] = tf.tidy(() => {
    const centred = tf.sub(x, tf.mean(x, 1, true));
    const q = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon)) as tf.Tensor2D;
    const n = tf.mul(centred, q) as tf.Tensor2D;
    return [tf.add(tf.mul(n, tf.tensor1d(gain)), tf.tensor1d(bias)) as tf.Tensor2D, n, q] as const;
  });
  return { y, saved: normSaved(normalised, inverse) };
}

/** dx = q (dn − mean(dn) − n · mean(dn·n)), dn = dy·g */
function layerNormBackward(dy: tf.Tensor2D, saved: Saved, gain: Float32Array): tf.Tensor2D {
  const { normalised: n, inverse: q } = saved as NormSaved;
  requireShape('layerNormBackward', 'dy', dy, n.shape);
  return tf.tidy(() => {
    const dn = tf.mul(dy, tf.tensor1d(gain));
    const along = tf.mul(n, tf.mean(tf.mul(dn, n), 1, true));
    return tf.mul(tf.sub(tf.sub(dn, tf.mean(dn, 1, true)), along), q) as tf.Tensor2D;
  });
}

/** (l, r) → (l·cos − r·sin, r·cos + l·sin) on the halves of each head; `direction` −1 turns back. */
function rotate(
  x: tf.Tensor2D,
  table: RotaryTable,
  { batch, time, heads, headDim }: RotaryShape,
  offset: number,
  direction: 1 | -1,
): tf.Tensor2D {
  requireShape('rotary', 'x', x, [batch * time, heads * headDim]);
  const half = table.halfDim;
  requireRotary(table, { time, headDim, offset });
  return tf.tidy(() => {
    const rows = (values: Float32Array) =>
      tf.tensor4d(values.subarray(offset * half, (offset + time) * half), [1, time, 1, half]);
    const cos = rows(table.cos);
    const sin = tf.mul(rows(table.sin), direction);
    const split = tf.reshape(x, [batch, time, heads, headDim]);
    const left = tf.slice(split, [0, 0, 0, 0], [batch, time, heads, half]);
    const right = tf.slice(split, [0, 0, 0, half], [batch, time, heads, half]);
    const turned = tf.concat(
      [tf.sub(tf.mul(left, cos), tf.mul(right, sin)), tf.add(tf.mul(right, cos), tf.mul(left, sin))],
      3,
    );
    return tf.reshape(turned, [batch * time, heads * headDim]) as tf.Tensor2D;
  });
}

interface AttentionSaved extends Saved {
  readonly q: tf.Tensor2D;
  readonly k: tf.Tensor2D;
  readonly v: tf.Tensor2D;
  /** `[batch · kvHeads, group · time, time]` */
  readonly probabilities: tf.Tensor3D;
}

/** `[rows, heads · d]` → `[batch · kvHeads, group · time, d]` */
function toHeads(
  x: tf.Tensor2D,
  heads: number,
  { batch, time, kvHeads, headDim }: AttentionShape,
): tf.Tensor3D {
  const split = tf.transpose(tf.reshape(x, [batch, time, heads, headDim]), [0, 2, 1, 3]);
  return tf.reshape(split, [batch * kvHeads, (heads / kvHeads) * time, headDim]) as tf.Tensor3D;
}

function fromHeads(x: tf.Tensor3D, heads: number, { batch, time, headDim }: AttentionShape): tf.Tensor2D {
  const split = tf.transpose(tf.reshape(x, [batch, heads, time, headDim]), [0, 2, 1, 3]);
  return tf.reshape(split, [batch * time, heads * headDim]) as tf.Tensor2D;
}

const swap = (x: tf.Tensor3D) => tf.transpose(x, [0, 2, 1]);

function attention(
  q: tf.Tensor2D,
  k: tf.Tensor2D,
  v: tf.Tensor2D,
  shape: AttentionShape,
  rotary?: RotaryPositions,
): Forward {
  requireAttention({ q, k, v }, shape);
  const { batch, time, heads, kvHeads, headDim } = shape;
  if (rotary) {
    const [turnedQ, turnedK] = turn({ q, k }, shape, rotary, 1);
    const { y, saved } = attention(turnedQ, turnedK, v, shape);
    return {
      y,
      saved: {
        ...saved,
        dispose: () => {
          saved.dispose();
          tf.dispose([turnedQ, turnedK]);
        },
      },
    };
  }
  const mask = attentionMask(shape);
  const [y, probabilities] = tf.tidy(() => {
    const keys = swap(toHeads(k, kvHeads, shape));
    let scores: tf.Tensor = tf.mul(tf.matMul(toHeads(q, heads, shape), keys), 1 / Math.sqrt(headDim));
    if (mask) {
      const groupTime = (heads / kvHeads) * time;
      const added = tf.tensor(mask.values, [mask.items, 1, groupTime, time]);
      scores = tf.add(tf.reshape(scores, [batch, kvHeads, groupTime, time]), added);
      scores = tf.reshape(scores, [batch * kvHeads, groupTime, time]);
    }
    const p = tf.softmax(scores) as tf.Tensor3D;
    return [fromHeads(tf.matMul(p, toHeads(v, kvHeads, shape)), heads, shape), p] as const;
  });
  const saved: AttentionSaved = {
    q,
    k,
    v,
    probabilities,
    dispose: () => {
      tf.dispose(probabilities);
    },
  };
  return { y, saved };
}

/** Queries and keys, or their gradients, turned by the positions' angles. */
function turn(
  { q, k }: { q: tf.Tensor2D; k: tf.Tensor2D },
  { batch, time, heads, kvHeads, headDim }: AttentionShape,
  { table, offset = 0 }: RotaryPositions,
  direction: 1 | -1,
) {
  const rotated = (x: tf.Tensor2D, count: number) =>
    rotate(x, table, { batch, time, heads: count, headDim }, offset, direction);
  return [rotated(q, heads), rotated(k, kvHeads)] as const;
}

/** dV = Pᵀ dO; dS = P ∘ (dO Vᵀ − rowsum(P ∘ dO Vᵀ)); dQ = dS K / √d; dK = dSᵀ Q / √d */
function attentionBackward(
  dy: tf.Tensor2D,
  saved: Saved,
  shape: AttentionShape,
  rotary?: RotaryPositions,
): { dq: tf.Tensor2D; dk: tf.Tensor2D; dv: tf.Tensor2D } {
  if (rotary) {
    const turned = attentionBackward(dy, saved, shape);
    const [dq, dk] = turn({ q: turned.dq, k: turned.dk }, shape, rotary, -1);
    tf.dispose([turned.dq, turned.dk]);
    return { dq, dk, dv: turned.dv };
  }
  const { q, k, v, probabilities: p } = saved as AttentionSaved;
  const { heads, kvHeads, headDim } = shape;
  requireShape('attentionBackward', 'dy', dy, q.shape);
  const [dq, dk, dv] = tf.tidy(() => {
    const dOut = toHeads(dy, heads, shape);
    const dP = tf.matMul(dOut, swap(toHeads(v, kvHeads, shape)));
    const inner = tf.mul(p, dP);
    const dS = tf.mul(
      tf.sub(inner, tf.mul(p, tf.sum(inner, 2, true))),
      1 / Math.sqrt(headDim),
    ) as tf.Tensor3D;
    return [
      fromHeads(tf.matMul(dS, toHeads(k, kvHeads, shape)), heads, shape),
      fromHeads(tf.matMul(swap(dS), toHeads(q, heads, shape)), kvHeads, shape),
      fromHeads(tf.matMul(swap(p), dOut), kvHeads, shape),
    ] as const;
  });
  return { dq, dk, dv };
}

interface PairSaved extends Saved {
  readonly gate: tf.Tensor2D;
  readonly up: tf.Tensor2D;
}

function swiglu(gate: tf.Tensor2D, up: tf.Tensor2D) {
  requireShape('swiglu', 'up', up, gate.shape);
  const y = tf.tidy(() => tf.mul(tf.mul(gate, tf.sigmoid(gate)), up) as tf.Tensor2D);
  const saved: PairSaved = { gate, up, dispose: () => undefined };
  return { y, saved };
}

/** dUp = dy·silu(g); dGate = dy·u·(σ + silu·(1 − σ)) */
function swigluBackward(dy: tf.Tensor2D, saved: Saved) {
  const { gate, up } = saved as PairSaved;
  requireShape('swigluBackward', 'dy', dy, gate.shape);
  const [dGate, dUp] = tf.tidy(() => {
    const s = tf.sigmoid(gate);
    const silu = tf.mul(gate, s);
    const slope = tf.add(s, tf.mul(silu, tf.sub(1, s)));
    return [tf.mul(tf.mul(dy, up), slope), tf.mul(dy, silu)] as const;
  }) as unknown as [tf.Tensor2D, tf.Tensor2D];
  return { dGate, dUp };
}

interface GatedSaved extends PairSaved {
  readonly variant: GeluVariant;
}

function geglu(gate: tf.Tensor2D, up: tf.Tensor2D, variant: GeluVariant) {
  requireShape('geglu', 'up', up, gate.shape);
  const y = tf.tidy(() => tf.mul(tf.mul(gate, gateOf(gate, variant)), up) as tf.Tensor2D);
  const saved: GatedSaved = { gate, up, variant, dispose: () => undefined };
  return { y, saved };
}

/** dUp = dy·gelu(g); dGate = dy·u·gelu′(g) */
function gegluBackward(dy: tf.Tensor2D, saved: Saved) {
  const { gate, up, variant } = saved as GatedSaved;
  requireShape('gegluBackward', 'dy', dy, gate.shape);
  const [dGate, dUp] = tf.tidy(() => {
    const weight = gateOf(gate, variant);
    const slope = tf.add(weight, tf.mul(gate, gateSlope(gate, variant)));
    return [tf.mul(tf.mul(dy, up), slope), tf.mul(dy, tf.mul(gate, weight))] as const;
  }) as unknown as [tf.Tensor2D, tf.Tensor2D];
  return { dGate, dUp };
}

interface UnarySaved extends Saved {
  readonly x: tf.Tensor2D;
  readonly variant: GeluVariant;
}

const rootTwoOverPi = Math.sqrt(2 / Math.PI);

function gelu(x: tf.Tensor2D, variant: GeluVariant) {
  const y = tf.tidy(() => tf.mul(x, gateOf(x, variant)) as tf.Tensor2D);
  const saved: UnarySaved = { x, variant, dispose: () => undefined };
  return { y, saved };
}

/** gelu(x) = x · gate(x) */
function gateOf(x: tf.Tensor2D, variant: GeluVariant): tf.Tensor {
  switch (variant) {
    case 'tanh':
      return tf.mul(0.5, tf.add(1, tf.tanh(innerTanh(x))));
    case 'erf':
      return tf.mul(0.5, tf.add(1, tf.erf(tf.mul(x, Math.SQRT1_2))));
    case 'quick':
      return tf.sigmoid(tf.mul(x, 1.702));
    default:
      return variant satisfies never;
  }
}

/** √(2/π) (x + 0.044715 x³) */
const innerTanh = (x: tf.Tensor2D) =>
  tf.mul(tf.mul(x, tf.add(1, tf.mul(tf.square(x), 0.044715))), rootTwoOverPi);

/** d(x·gate)/dx = gate + x·gate′ */
function geluBackward(dy: tf.Tensor2D, saved: Saved): tf.Tensor2D {
  const { x, variant } = saved as UnarySaved;
  requireShape('geluBackward', 'dy', dy, x.shape);
  return tf.tidy(
    () => tf.mul(dy, tf.add(gateOf(x, variant), tf.mul(x, gateSlope(x, variant)))) as tf.Tensor2D,
  );
}

function gateSlope(x: tf.Tensor2D, variant: GeluVariant): tf.Tensor {
  switch (variant) {
    case 'tanh': {
      const slope = tf.mul(tf.add(1, tf.mul(tf.square(x), 3 * 0.044715)), rootTwoOverPi);
      return tf.mul(0.5, tf.mul(tf.sub(1, tf.square(tf.tanh(innerTanh(x)))), slope));
    }
    case 'erf':
      return tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    case 'quick': {
      const s = tf.sigmoid(tf.mul(x, 1.702));
      return tf.mul(1.702, tf.mul(s, tf.sub(1, s)));
    }
    default:
      return variant satisfies never;
  }
}

function gatherRowsBackward(dy: tf.Tensor2D, indices: Int32Array, rows: number): tf.Tensor2D {
  requireLength('gatherRowsBackward', 'indices', indices.length, dy.shape[0]);
  const features = dy.shape[1];
  const values = dy.dataSync();
  const sum = new Float32Array(rows * features);
  for (const [i, row] of indices.entries())
    for (let j = 0; j < features; j++) sum[row * features + j]! += values[i * features + j]!;
  return tf.tensor2d(sum, [rows, features]);
}
