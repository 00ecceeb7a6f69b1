/** Rotary embedding and attention of the fast backends: heads are laid out and rotated in one pass, softmax masks in place without a mask in memory. */
import { dispose, type Tensor, type Tensor2D } from '@contextlora/kernels/tfjs';

import type { AttentionShape, Kernels, RotaryPositions, RotaryTable, Saved } from '../kernels.js';
import { offsetOf, requireAttention, requireRotary } from '../require-attention.js';
import { requireShape } from '../require-shape.js';
import type { FusedContext } from './context.js';
import type { BatchedProduct } from './products.js';

interface AttentionSaved extends Saved {
  /** `[batch, heads, time, headDim]`, rotated. */
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** `[batch, heads, time, time]` */
  readonly probabilities: Tensor;
}

interface Layout {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly headDim: number;
}

interface Sides {
  readonly from: 'rows' | 'heads';
  readonly to: 'rows' | 'heads';
}

type Attention = Pick<Kernels, 'rotary' | 'rotaryBackward' | 'attention' | 'attentionBackward'>;

export function fusedAttention({ heap, module, scratch, products }: FusedContext): Attention {
  /** Copies heads from one layout to the other or the same, rotated by the table's angles (1), rotated back (−1), or, without positions, as they are. */
  const copyHeads = (
    x: Tensor,
    { batch, time, heads, headDim }: Layout,
    { positions, turn = 1, from, to }: { positions?: RotaryPositions | undefined; turn?: 1 | -1 } & Sides,
  ): Tensor => {
    const out = heap.allocate(
      to === 'heads' ? [batch, heads, time, headDim] : [batch * time, heads * headDim],
    );
    const [cosAt = 0, sinAt = 0] = positions ? scratch.put(...rowsOf(positions, time, headDim)) : [];
    module.rotateHeads(
      heap.address(x),
      heap.address(out),
      cosAt,
      sinAt,
      batch,
      time,
      heads,
      headDim,
      positions ? turn : 0,
      Number(from === 'heads'),
      Number(to === 'heads'),
    );
    return out;
  };

  const rotate = (x: Tensor2D, table: RotaryTable, layout: Layout, offset: number, turn: 1 | -1) => {
    const { batch, time, heads, headDim } = layout;
    requireShape('rotary', 'x', x, [batch * time, heads * headDim]);
    requireRotary(table, { time, headDim, offset });
    return copyHeads(x, layout, { positions: { table, offset }, turn, from: 'rows', to: 'rows' }) as Tensor2D;
  };

  const multiply = (product: BatchedProduct) => products.batched(product, heap.allocate);

  /** Attention multiplies per pair of an item and a key/value head, with the queries of all heads that share it. */
  const pairsOf = ({ batch, time, heads, kvHeads }: AttentionShape) => ({
    pairs: batch * kvHeads,
    groupTime: (heads / kvHeads) * time,
  });
  /** `[pairs, time, headDim]` → `[pairs, headDim, time]`; a native product with a transposed right side would lose more time than this takes. */
  const flip = (x: Tensor, pairs: number, time: number, headDim: number): Tensor => {
    const out = heap.allocate([pairs, headDim, time]);
    const bytes = time * headDim * 4;
    for (let pair = 0; pair < pairs; pair++)
      module.transpose(heap.address(x) + pair * bytes, heap.address(out) + pair * bytes, time, headDim);
    return out;
  };

  const firstKeysOf = ({ batch, firstKeys }: AttentionShape) =>
    Int32Array.from({ length: batch }, (_, item) => firstKeys?.[item] ?? 0);

  return {
    rotary: (x, table, shape, offset = 0) => rotate(x, table, shape, offset, 1),
    rotaryBackward: (dy, table, shape, offset = 0) => rotate(dy, table, shape, offset, -1),

    attention(q, k, v, shape, rotary) {
      requireAttention({ q, k, v }, shape);
      const { batch, time, heads, kvHeads, headDim, causal } = shape;
      if (rotary) requireRotary(rotary.table, { time, headDim, offset: offsetOf(rotary) });
      const layout = { batch, time, heads, headDim };
      const sharedLayout = { batch, time, heads: kvHeads, headDim };
      const turned = { positions: rotary, from: 'rows', to: 'heads' } as const;
      const [Q, K] = [copyHeads(q, layout, turned), copyHeads(k, sharedLayout, turned)];
      const V = copyHeads(v, sharedLayout, { from: 'rows', to: 'heads' });
      const { pairs, groupTime } = pairsOf(shape);
      const Kt = flip(K, pairs, time, headDim);
      const probabilities = multiply({
        a: Q,
        b: Kt,
        batch: pairs,
        m: groupTime,
        n: time,
        k: headDim,
        alpha: 1 / Math.sqrt(headDim),
      });
      Kt.dispose();
      const [firstAt = 0] = scratch.put(firstKeysOf(shape));
      module.maskedSoftmax(heap.address(probabilities), firstAt, batch, heads, time, Number(causal));
      const O = multiply({ a: probabilities, b: V, batch: pairs, m: groupTime, n: headDim, k: time });
      const y = copyHeads(O, layout, { from: 'heads', to: 'rows' }) as Tensor2D;
      dispose(O);
      const saved: AttentionSaved = {
        q: Q,
        k: K,
        v: V,
        probabilities,
        dispose: () => {
          dispose([Q, K, V, probabilities]);
        },
      };
      return { y, saved };
    },

    /** dV = Pᵀ dO; dS = P ∘ (dO Vᵀ − rowsum(P ∘ dO Vᵀ)) / √d; dQ = dS K; dK = dSᵀ Q */
    attentionBackward(dy, saved, shape, rotary) {
      const { q: Q, k: K, v: V, probabilities: P } = saved as AttentionSaved;
      const { batch, time, heads, kvHeads, headDim, causal } = shape;
      requireShape('attentionBackward', 'dy', dy, [batch * time, heads * headDim]);
      const layout = { batch, time, heads, headDim };
      const sharedLayout = { batch, time, heads: kvHeads, headDim };
      const dO = copyHeads(dy, layout, { from: 'rows', to: 'heads' });
      const { pairs, groupTime } = pairsOf(shape);
      const each = { batch: pairs, n: headDim };
      const Vt = flip(V, pairs, time, headDim);
      const dS = multiply({ a: dO, b: Vt, batch: pairs, m: groupTime, n: time, k: headDim });
      Vt.dispose();
      const [firstAt = 0] = scratch.put(firstKeysOf(shape));
      module.maskedSoftmaxBackward(
        heap.address(P),
        heap.address(dS),
        firstAt,
        batch,
        heads,
        time,
        Number(causal),
        1 / Math.sqrt(headDim),
      );
      const dQ = multiply({ ...each, a: dS, b: K, m: groupTime, k: time });
      const dK = multiply({ ...each, a: dS, b: Q, m: time, k: groupTime, transposeA: true });
      const dV = multiply({ ...each, a: P, b: dO, m: time, k: groupTime, transposeA: true });
      const back = { positions: rotary, turn: -1, from: 'heads', to: 'rows' } as const;
      const gradients = {
        dq: copyHeads(dQ, layout, back) as Tensor2D,
        dk: copyHeads(dK, sharedLayout, back) as Tensor2D,
        dv: copyHeads(dV, sharedLayout, { from: 'heads', to: 'rows' }) as Tensor2D,
      };
      dispose([dO, dS, dQ, dK, dV]);
      return gradients;
    },
  };
}

function rowsOf({ table, offset = 0 }: RotaryPositions, time: number, headDim: number) {
  const half = headDim / 2;
  const [start, end] = [offset * half, (offset + time) * half];
  return [table.cos.subarray(start, end), table.sin.subarray(start, end)] as const;
}
