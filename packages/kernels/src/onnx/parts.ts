/** The native backend in Node: the operations of the fast backends, with matrix products by onnxruntime. */
import type { FusedContext } from '../fused/context.js';
import { openLowRank, withLowRank } from '../fused/low-rank.js';
import type { WasmHeap } from '../wasm/heap.js';
import { openWasmIntegers } from '../wasm/integer-products.js';
import { openWasmModule } from '../wasm/module.js';
import { openScratch } from '../wasm/scratch.js';
import { openOnnxIntegers } from './integer-products.js';
import type { OnnxRuntime } from './library.js';
import { createOnnxProducts } from './products.js';

/** Opens the parts of the backend over a loaded runtime and an open heap; one product uses `threads` threads. */
export function openOnnxParts(
  runtime: OnnxRuntime,
  heap: WasmHeap,
  { threads }: { readonly threads: number },
): FusedContext {
  const module = openWasmModule(heap);
  const scratch = openScratch(heap);
  const lowRank = openLowRank({ heap, module, scratch });
  const native = createOnnxProducts(runtime, heap, { threads, module });
  const products = withLowRank(native, lowRank);
  const openIntegers = () =>
    openOnnxIntegers(runtime, heap, { threads }) ?? openWasmIntegers({ heap, module });
  return { heap, module, scratch, products, lowRank, openIntegers, exponential: native.exponential };
}
