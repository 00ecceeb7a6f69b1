/** The two thin products of every segment, in wasm: each reads its large operand once; a general product would pack it first. */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import type { InputDropout, LoraSegment, SegmentGradient } from '../kernels.js';
import { requireAllRows } from '../require-shape.js';
import type { WasmHeap } from '../wasm/heap.js';
import type { WasmModule } from '../wasm/module.js';
import type { Scratch } from '../wasm/scratch.js';
import { fewRows } from './few-rows.js';
import type { Products } from './products.js';

export interface LowRank {
  /** hᵢ = scale · x Aᵢᵀ; y += hᵢ Bᵢᵀ in place; returns hᵢ of every segment. */
  addSegments(x: Tensor2D, y: Tensor2D, segments: readonly LoraSegment[]): Tensor2D[];
  /** dhᵢ = scale · dy Bᵢ; dx += dhᵢ Aᵢ in place unless dx is null; dAᵢ = dhᵢᵀ x and dBᵢ = dyᵀ hᵢ of the segments that train, else null. */
  segmentsBackward(
    dy: Tensor2D,
    saved: { readonly x: Tensor2D; readonly hidden: readonly Tensor2D[] },
    dx: Tensor2D | null,
    segments: readonly LoraSegment[],
  ): (SegmentGradient | null)[];
}

export function openLowRank({
  heap,
  module,
  scratch,
}: {
  heap: WasmHeap;
  module: WasmModule;
  scratch: Scratch;
}): LowRank {
  const at = heap.address;
  const make = (rows: number, columns: number) => heap.allocate([rows, columns]) as Tensor2D;
  /** Bᵀ `[rank, out]` in scratch. */
  const transposed = (b: Tensor2D) => {
    const room = scratch.room(b.size * 4);
    module.transpose(at(b), room, ...b.shape);
    return room;
  };

  /** x with what is left out, or a copy of nothing where nothing is. */
  const inputOf = (x: Tensor2D, dropout: InputDropout | undefined) => {
    if (!dropout) return { read: x, free: () => undefined };
    const read = make(...x.shape);
    addKept(x, read, { ...dropout, isFirst: true });
    return {
      read,
      free: () => {
        read.dispose();
      },
    };
  };
  /** to += from ∘ kept · scale, or = for the first. */
  const addKept = (
    from: Tensor2D,
    to: Tensor2D,
    { kept, scale, isFirst }: InputDropout & { readonly isFirst: boolean },
  ) => {
    const [source, target] = [heap.view(from), heap.view(to)];
    if (isFirst) target.fill(0);
    for (let i = 0; i < kept.length; i++) if (kept[i]) target[i]! += source[i]! * scale;
  };

  const addSegment = (x: Tensor2D, y: Tensor2D, { a, b, scale, rows, dropout }: LoraSegment): Tensor2D => {
    const { start, end } = rows ?? { start: 0, end: x.shape[0] };
    const [m, k] = [end - start, x.shape[1]];
    const [n, rank] = b.shape;
    const h = make(m, rank);
    const { read, free } = inputOf(x, dropout);
    module.projectRows(at(read) + start * k * 4, at(a), at(h), m, k, rank, scale);
    free();
    const target = at(y) + start * n * 4;
    if (m <= fewRows) {
      // With so few rows, transposing b would cost more than the product.
      const room = scratch.room(m * n * 4);
      module.projectRows(at(h), at(b), room, m, rank, n, 1);
      module.add(target, room, target, m * n);
    } else module.addExpanded(at(h), transposed(b), target, m, n, rank);
    return h;
  };

  const segmentBackward = (
    dy: Tensor2D,
    { x, h }: { readonly x: Tensor2D; readonly h: Tensor2D },
    dx: Tensor2D | null,
    { a, b, scale, train, rows, dropout }: LoraSegment,
  ): SegmentGradient | null => {
    requireAllRows('linearBackward', rows);
    if (!train && !dx) return null;
    const [m, k] = x.shape;
    const [n, rank] = b.shape;
    const dh = make(m, rank);
    module.projectRows(at(dy), transposed(b), at(dh), m, n, rank, scale);
    if (dx && dropout) {
      const ofInput = make(m, k);
      heap.view(ofInput).fill(0);
      module.addExpanded(at(dh), at(a), at(ofInput), m, k, rank);
      addKept(ofInput, dx, { ...dropout, isFirst: false });
      ofInput.dispose();
    } else if (dx) module.addExpanded(at(dh), at(a), at(dx), m, k, rank);
    if (!train) {
      dh.dispose();
      return null;
    }
    const gradient = { a: make(rank, k), b: make(n, rank) };
    const { read, free } = inputOf(x, dropout);
    module.outerProducts(at(dh), at(read), at(gradient.a), m, k, rank);
    free();
    const room = scratch.room(n * rank * 4);
    module.outerProducts(at(h), at(dy), room, m, n, rank);
    module.transpose(room, at(gradient.b), rank, n);
    dh.dispose();
    return gradient;
  };

  return {
    addSegments: (x, y, segments) => segments.map((segment) => addSegment(x, y, segment)),
    segmentsBackward: (dy, { x, hidden }, dx, segments) =>
      segments.map((segment, i) => segmentBackward(dy, { x, h: hidden[i]! }, dx, segment)),
  };
}

/** The given products, with segments in wasm where those products cannot take them (some rows, dropout) or are slow because there are only a few rows. */
export function withLowRank(base: Products, lowRank: LowRank): Products {
  const takes = (rows: number, segments: readonly LoraSegment[]) =>
    rows <= fewRows || segments.some((segment) => segment.rows ?? segment.dropout);
  return {
    ...base,
    linear(x, weight, segments) {
      if (!takes(x.shape[0], segments)) return base.linear(x, weight, segments);
      const { y } = base.linear(x, weight, []);
      return { y, hidden: lowRank.addSegments(x, y, segments) };
    },
    linearBackward(dy, saved, weight, segments, needed) {
      const { x, hidden } = saved;
      if (!takes(x.shape[0], segments)) return base.linearBackward(dy, saved, weight, segments, needed);
      const { dx } = needed.input
        ? base.linearBackward(dy, { x, hidden: [] }, weight, [], needed)
        : { dx: null };
      return {
        dx,
        segments: lowRank.segmentsBackward(dy, { x, hidden }, dx, segments),
      };
    },
  };
}
