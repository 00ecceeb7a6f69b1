/** The portable fast backend: no native library. */
import { createFusedKernels } from '../fused/kernels.js';
import type { FusedContext } from '../fused/context.js';
import type { Kernels } from '../kernels.js';
import { openLowRank } from '../fused/low-rank.js';
import { openScratch } from './scratch.js';
import type { WasmHeap } from './heap.js';
import { openWasmModule } from './module.js';
import { createWasmProducts } from './products.js';

/** The parts of the backend on an open heap. */
export function openWasmParts(heap: WasmHeap): FusedContext {
  const module = openWasmModule(heap);
  const scratch = openScratch(heap);
  const lowRank = openLowRank({ heap, module, scratch });
  const products = createWasmProducts({ heap, module, scratch, lowRank });
  return { heap, module, scratch, products, lowRank };
}

/** Makes the backend on an open heap; base weights lie on that heap too, unless they are compact. */
export const createWasmKernels = (heap: WasmHeap): Kernels => createFusedKernels('wasm', openWasmParts(heap));
