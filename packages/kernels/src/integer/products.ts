/** Matrix products that also take integer weights: rows are rounded to bytes, multiplied exactly, and scaled back. */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import { copyToHeap } from '../compact/copy-to-heap.js';
import type { CompactProducts } from '../compact/products.js';
import type { FusedContext } from '../fused/context.js';
import { fewRows } from '../fused/few-rows.js';
import type { LinearWeight } from '../kernels.js';
import { KernelsError } from '../kernels-error.js';
import { openScratch } from '../wasm/scratch.js';
import type { IntegerOperand, IntegerProducts } from './integer-products.js';
import type { IntegerWeight } from './integer-weight.js';

interface IntegerLinear extends LinearWeight {
  /** Where the bytes `[out, in]` lie on the heap, to which they are moved for good, for products of a few rows in wasm; undefined where there is no room. */
  readonly rowsOnHeap: () => number | undefined;
  /** At an address of the heap. */
  readonly scales: number;
  /** 0 without a bias. */
  readonly bias: number;
  readonly forward: IntegerOperand;
  readonly backward: () => IntegerOperand;
}

const isInteger = (weight: LinearWeight): weight is IntegerLinear => 'scales' in weight;

export interface AllProducts extends CompactProducts {
  prepareInteger(
    weight: IntegerWeight,
    outFeatures: number,
    inFeatures: number,
    bias: Float32Array | undefined,
  ): LinearWeight;
}

/** Adds integer weights to products; `openIntegers` is called for the first of them. */
export function withIntegerWeights(
  products: CompactProducts,
  {
    heap,
    module,
    scratch,
    lowRank,
    openIntegers,
  }: Pick<FusedContext, 'heap' | 'module' | 'scratch' | 'lowRank' | 'openIntegers'>,
): AllProducts {
  let opened: IntegerProducts | undefined;
  const integers = () => (opened ??= openIntegers());
  const forwardBytes = openScratch(heap);
  const backwardBytes = openScratch(heap);
  /** The tensor whose rows lie in `forwardBytes`: the layers that read one input (q, k and v; gate and up) round it once. Tensors never change. */
  let roundedInput: number | undefined;

  const roomFor = (m: number, k: number) => Math.ceil((m * k) / 16) * 16 + m * 4;
  const scalesBehind = (address: number, m: number, k: number) => address + Math.ceil((m * k) / 16) * 16;
  /** Rows of x times columns, or rotated where columns is 0. */
  const roundInto = (address: number, x: Tensor2D, columns: number) => {
    const [m, k] = x.shape;
    const room = scratch.room(k * 4 + 64);
    const scales = scalesBehind(address, m, k);
    module.roundRows(heap.address(x), columns, address, scales, room, m, k);
    return { bytes: address, scales };
  };

  const roundInput = (x: Tensor2D) => {
    const [m, k] = x.shape;
    const address = forwardBytes.room(roomFor(m, k));
    if (roundedInput === x.id) return { bytes: address, scales: scalesBehind(address, m, k) };
    const rounded = roundInto(address, x, 0);
    roundedInput = x.id;
    return rounded;
  };

  const putOnHeap = (values: Float32Array) => {
    const address = heap.reserve(values.byteLength);
    heap.floatsAt(address, values.length).set(values);
    return address;
  };

  const reserveIfRoom = (size: number) => {
    try {
      return heap.reserve(size);
    } catch (error) {
      if (error instanceof KernelsError && error.code === 'KERNELS_HEAP_FULL') return undefined;
      throw error;
    }
  };

  return {
    ...products,

    prepareInteger({ values, scales }, outFeatures, inFeatures, bias): IntegerLinear {
      const on = { scales: putOnHeap(scales), bias: bias ? putOnHeap(bias) : 0 };
      const [n, k] = [outFeatures, inFeatures];
      let place: { readonly outside: Int8Array; readonly stays?: true } | { readonly address: number } = {
        outside: values,
      };
      // At once, so that what a loaded base takes is what it will take in training.
      const forward = integers().prepare(values, { k, n, transposed: true });
      const kept = integers().heapRows(forward);
      let backward: IntegerOperand | undefined;
      const prepareBackward = () => {
        const bytes =
          'outside' in place
            ? place.outside
            : new Int8Array(heap.memory.buffer, place.address, n * k).slice();
        return integers().prepare(bytes, { k: n, n: k, transposed: false });
      };
      const rowsOnHeap = () => {
        if (kept !== undefined) return kept;
        if ('address' in place) return place.address;
        if (place.stays) return undefined;
        const address = reserveIfRoom(n * k);
        place =
          address === undefined
            ? { outside: place.outside, stays: true }
            : { address: copyToHeap(heap, place.outside, address) };
        return address;
      };
      return {
        ...{ outFeatures, inFeatures, hasBias: bias !== undefined },
        ...on,
        rowsOnHeap,
        forward,
        // A base that only answers has no gradients.
        backward: () => (backward ??= prepareBackward()),
        dispose() {
          if ('address' in place) heap.release(place.address);
          for (const address of [on.scales, on.bias]) if (address !== 0) heap.release(address);
          forward.dispose();
          backward?.dispose();
        },
      };
    },

    linear(x, weight, segments) {
      if (!isInteger(weight)) return products.linear(x, weight, segments);
      const { outFeatures: n, inFeatures: k, scales, bias, forward, rowsOnHeap } = weight;
      const [m] = x.shape;
      const address = m <= fewRows ? rowsOnHeap() : undefined;
      const y = heap.allocate([m, n]) as Tensor2D;
      const rounded = roundInput(x);
      if (address === undefined) integers().multiply(rounded.bytes, forward, heap.address(y), m);
      else {
        const room = scratch.room(module.integerScratchBytes(k));
        module.integerVectors(rounded.bytes, address, heap.address(y), m, n, k, room);
      }
      module.scaleIntegers(heap.address(y), rounded.scales, scales, bias, m, n);
      return { y, hidden: lowRank.addSegments(x, y, segments) };
    },

    linearBackward(dy, saved, weight, segments, needed) {
      if (!isInteger(weight)) return products.linearBackward(dy, saved, weight, segments, needed);
      if (!needed.input) return { dx: null, segments: lowRank.segmentsBackward(dy, saved, null, segments) };
      const { inFeatures: k, outFeatures: n, scales, backward } = weight;
      const [m] = dy.shape;
      const operand = backward();
      const dx = heap.allocate([m, k]) as Tensor2D;
      const rounded = roundInto(backwardBytes.room(roomFor(m, n)), dy, scales);
      integers().multiply(rounded.bytes, operand, heap.address(dx), m);
      module.rotateIntegers(heap.address(dx), rounded.scales, m, k);
      return { dx, segments: lowRank.segmentsBackward(dy, saved, dx, segments) };
    },

    dispose() {
      products.dispose();
      opened?.dispose();
      forwardBytes.dispose();
      backwardBytes.dispose();
    },
  };
}
