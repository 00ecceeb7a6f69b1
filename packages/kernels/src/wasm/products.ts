/** Matrix products in wasm with packed operands, so that transposes are as fast as plain operands. */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import { addBias, fewRows } from '../fused/few-rows.js';
import type { LowRank } from '../fused/low-rank.js';
import type { Products } from '../fused/products.js';
import type { LinearWeight } from '../kernels.js';
import type { WasmHeap } from './heap.js';
import type { WasmModule } from './module.js';
import type { Scratch } from './scratch.js';

interface WasmWeight extends LinearWeight {
  readonly address: number;
  readonly bias: Float32Array | undefined;
}

interface Product {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly alpha?: number;
  readonly add?: boolean;
}

/** Products on an open heap. */
export function createWasmProducts({
  heap,
  module,
  scratch,
  lowRank,
}: {
  heap: WasmHeap;
  module: WasmModule;
  scratch: Scratch;
  lowRank: LowRank;
}): Products {
  const multiply = ({
    a,
    b,
    c,
    m,
    n,
    k,
    transposeA = false,
    transposeB = false,
    alpha = 1,
    add = false,
  }: Product) => {
    const room = scratch.room(module.productScratchBytes());
    module.matrixProduct(a, b, c, m, n, k, Number(transposeA), Number(transposeB), alpha, Number(add), room);
  };
  const at = heap.address;
  const make = (rows: number, columns: number) => heap.allocate([rows, columns]) as Tensor2D;
  const product = (m: number, n: number, of: Omit<Product, 'c' | 'm' | 'n'>) => {
    const out = make(m, n);
    multiply({ ...of, m, n, c: at(out) });
    return out;
  };

  return {
    prepareLinear(weight, outFeatures, inFeatures, bias): WasmWeight {
      const address = heap.reserve(weight.byteLength);
      heap.floatsAt(address, weight.length).set(weight);
      return {
        outFeatures,
        inFeatures,
        hasBias: bias !== undefined,
        address,
        bias,
        dispose: () => {
          heap.release(address);
        },
      };
    },

    weightAt: (address, outFeatures, inFeatures, bias): WasmWeight => ({
      outFeatures,
      inFeatures,
      hasBias: bias !== undefined,
      address,
      bias,
      dispose: () => undefined,
    }),

    linear(x, weight, segments) {
      const { address: w, bias, outFeatures: n, inFeatures: k } = weight as WasmWeight;
      const [m] = x.shape;
      const y = make(m, n);
      const few = m <= fewRows;
      // A general product would pack the whole weight first.
      if (few) module.vectorProductF32(at(x), w, at(y), m, n, k);
      if (bias) {
        const rows = heap.view(y);
        if (few) addBias(rows, bias);
        else for (let row = 0; row < m; row++) rows.set(bias, row * n);
      }
      if (!few) multiply({ a: at(x), b: w, c: at(y), m, n, k, transposeB: true, add: bias !== undefined });
      return { y, hidden: lowRank.addSegments(x, y, segments) };
    },

    linearBackward(dy, { x, hidden }, weight, segments, { input }) {
      const { address: w, outFeatures: n, inFeatures: k } = weight as WasmWeight;
      const [m] = x.shape;
      const dx = input ? product(m, k, { a: at(dy), b: w, k: n }) : null;
      return { dx, segments: lowRank.segmentsBackward(dy, { x, hidden }, dx, segments) };
    },

    batched({ a, b, batch, m, n, k, transposeA = false, transposeB = false, alpha = 1 }, allocate) {
      const out = allocate([batch, m, n]);
      for (let i = 0; i < batch; i++)
        multiply({
          a: at(a) + i * m * k * 4,
          b: at(b) + i * k * n * 4,
          c: at(out) + i * m * n * 4,
          m,
          n,
          k,
          transposeA,
          transposeB,
          alpha,
        });
      return out;
    },

    dispose: () => undefined,
  };
}
