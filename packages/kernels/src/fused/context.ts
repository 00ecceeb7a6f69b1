/** What the operations of a fast backend share. */
import type { TensorInfo } from '@contextlora/kernels/tfjs';

import type { WasmHeap } from '../wasm/heap.js';
import type { WasmModule } from '../wasm/module.js';
import type { Scratch } from '../wasm/scratch.js';
import type { IntegerProducts } from '../integer/integer-products.js';
import type { LowRank } from './low-rank.js';
import type { Products } from './products.js';

export interface FusedContext {
  readonly heap: WasmHeap;
  readonly module: WasmModule;
  readonly scratch: Scratch;
  readonly products: Products;
  readonly lowRank: LowRank;
  /** Opens the backend's products of bytes. */
  readonly openIntegers: () => IntegerProducts;
  /** out = eˣ, if the backend has a faster way than the wasm module. */
  readonly exponential?: (x: TensorInfo, out: TensorInfo) => void;
}
