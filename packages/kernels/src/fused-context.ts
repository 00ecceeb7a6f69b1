/** What the parts of a fast ground share. */
import type { LowRank } from './low-rank.js';
import type { Products } from './products.js';
import type { Scratch } from './scratch.js';
import type { WasmHeap } from './wasm-heap.js';
import type { WasmModule } from './wasm-module.js';

export interface FusedContext {
  readonly heap: WasmHeap;
  readonly module: WasmModule;
  readonly scratch: Scratch;
  readonly products: Products;
  readonly lowRank: LowRank;
}
