/** The native ground in Node: the fast ground's operations, with matrix products by onnxruntime. */
import { createFusedKernels } from './create-fused-kernels.js';
import type { Kernels } from './kernels.js';
import { openLowRank, withLowRank } from './low-rank.js';
import { createOnnxProducts } from './onnx-products.js';
import type { OnnxRuntime } from './onnx-runtime.js';
import { openScratch } from './scratch.js';
import type { WasmHeap } from './wasm-heap.js';
import { openWasmModule } from './wasm-module.js';

/** Makes the ground over a loaded runtime and an open heap; `threads` are those of one product. */
export function createOnnxKernels(
  runtime: OnnxRuntime,
  heap: WasmHeap,
  { threads }: { threads: number },
): Kernels {
  const module = openWasmModule(heap);
  const scratch = openScratch(heap);
  const lowRank = openLowRank({ heap, module, scratch });
  const native = createOnnxProducts(runtime, heap, { threads });
  // A second thread makes up for the copies that the native products make of a thin operand's result.
  const products = threads === 1 ? withLowRank(native, lowRank) : native;
  return createFusedKernels('onnx', { heap, module, scratch, products, lowRank });
}
