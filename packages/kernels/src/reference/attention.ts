/** Rotary embedding and attention of the reference backend. */
import * as tf from '@contextlora/kernels/tfjs';

import type {
  AttentionShape,
  Forward,
  RotaryPositions,
  RotaryShape,
  RotaryTable,
  Saved,
} from '../kernels.js';
import { requireAttention, requireRotary } from '../require-attention.js';
import { requireShape } from '../require-shape.js';
import { attentionMask } from './attention-mask.js';
import { softmax } from './column-sums.js';

/** Rotates every head of x by the angles of its row; `direction` −1 rotates back. */
export function rotate(
  x: tf.Tensor2D,
  table: RotaryTable,
  shape: RotaryShape,
  offset: number,
  direction: 1 | -1,
): tf.Tensor2D {
  const { batch, time, heads, headDim } = shape;
  requireShape('rotary', 'x', x, [batch * time, heads * headDim]);
  const half = table.halfDim;
  requireRotary(table, { time, headDim, offset });
  return tf.tidy(() => {
    const rows = (values: Float32Array) =>
      tf.tensor4d(values.subarray(offset * half, (offset + time) * half), [1, time, 1, half]);
    return turnHalves(x, { cos: rows(table.cos), sin: tf.mul(rows(table.sin), direction) }, shape);
  });
}

/** (l, r) → (l·cos − r·sin, r·cos + l·sin) on the halves of each head; cos and sin `[1 or batch, time, 1, headDim / 2]`. */
export function turnHalves(
  x: tf.Tensor2D,
  { cos, sin }: { readonly cos: tf.Tensor4D; readonly sin: tf.Tensor4D },
  { batch, time, heads, headDim }: RotaryShape,
): tf.Tensor2D {
  const half = headDim / 2;
  const split = tf.reshape(x, [batch, time, heads, headDim]);
  const left = tf.slice(split, [0, 0, 0, 0], [batch, time, heads, half]);
  const right = tf.slice(split, [0, 0, 0, half], [batch, time, heads, half]);
  const turned = tf.concat(
    [tf.sub(tf.mul(left, cos), tf.mul(right, sin)), tf.add(tf.mul(right, cos), tf.mul(left, sin))],
    3,
  );
  return tf.reshape(turned, [batch * time, heads * headDim]) as tf.Tensor2D;
}

interface AttentionSaved extends Saved {
  readonly q: tf.Tensor2D;
  readonly k: tf.Tensor2D;
  readonly v: tf.Tensor2D;
  /** `[batch · kvHeads, group · time, time]` */
  readonly probabilities: tf.Tensor3D;
}

type HeadShape = Pick<AttentionShape, 'batch' | 'time' | 'kvHeads' | 'headDim'>;

/** `[rows, heads · d]` → `[batch · kvHeads, group · time, d]` */
export function toHeads(
  x: tf.Tensor2D,
  heads: number,
  { batch, time, kvHeads, headDim }: HeadShape,
): tf.Tensor3D {
  const split = tf.transpose(tf.reshape(x, [batch, time, heads, headDim]), [0, 2, 1, 3]);
  return tf.reshape(split, [batch * kvHeads, (heads / kvHeads) * time, headDim]) as tf.Tensor3D;
}

export function fromHeads(x: tf.Tensor3D, heads: number, { batch, time, headDim }: HeadShape): tf.Tensor2D {
  const split = tf.transpose(tf.reshape(x, [batch, heads, time, headDim]), [0, 2, 1, 3]);
  return tf.reshape(split, [batch * time, heads * headDim]) as tf.Tensor2D;
}

const swap = (x: tf.Tensor3D) => tf.transpose(x, [0, 2, 1]);

export function attention(
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
    const p = softmax(scores as tf.Tensor3D);
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

/** Queries and keys, or their gradients, rotated by the angles of their positions. */
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
export function attentionBackward(
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
