/** The portable fast backend, which needs no native library. */
import type { FusedContext } from '../fused/context.js';
import { openLowRank } from '../fused/low-rank.js';
import type { WasmHeap } from './heap.js';
import { openWasmIntegers } from './integer-products.js';
import { openWasmModule } from './module.js';
import { createWasmProducts } from './products.js';
import { openScratch } from './scratch.js';

/** Opens the parts of the backend on an open heap. */
export function openWasmParts(heap: WasmHeap): FusedContext {
  const module = openWasmModule(heap);
  const scratch = openScratch(heap);
  const lowRank = openLowRank({ heap, module, scratch });
  const products = createWasmProducts({ heap, module, scratch, lowRank });
  const openIntegers = () => openWasmIntegers({ heap, module });
  return { heap, module, scratch, products, lowRank, openIntegers };
}
