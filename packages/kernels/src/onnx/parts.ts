/** The native backend in Node: the fast backend's operations, with matrix products by onnxruntime. */
import { createFusedKernels } from '../fused/kernels.js';
import type { FusedContext } from '../fused/context.js';
import type { Kernels } from '../kernels.js';
import { openLowRank, withLowRank } from '../fused/low-rank.js';
import { createOnnxProducts } from './products.js';
import type { OnnxRuntime } from './runtime.js';
import { openScratch } from '../wasm/scratch.js';
import type { WasmHeap } from '../wasm/heap.js';
import { openWasmModule } from '../wasm/module.js';

/** The parts of the backend over a loaded runtime and an open heap; `threads` are those of one product. */
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
  return { heap, module, scratch, products, lowRank, exponential: native.exponential };
}

/** Makes the backend over a loaded runtime and an open heap. */
export const createOnnxKernels = (
  runtime: OnnxRuntime,
  heap: WasmHeap,
  options: { readonly threads: number },
): Kernels => createFusedKernels('onnx', openOnnxParts(runtime, heap, options));
