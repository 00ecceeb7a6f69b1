/** Exact products of bytes in wasm, widened to 16 bits. */
import { copyToHeap } from '../compact/copy-to-heap.js';
import type { IntegerOperand, IntegerProducts } from '../integer/integer-products.js';
import { transposeBytes } from '../integer/transpose-bytes.js';
import type { WasmHeap } from './heap.js';
import type { WasmModule } from './module.js';
import { openScratch } from './scratch.js';

interface WasmOperand extends IntegerOperand {
  /** Of Bᵀ `[n, k]`. */
  readonly address: number;
  readonly k: number;
  readonly n: number;
}

/** Products on an open heap. */
export function openWasmIntegers({
  heap,
  module,
}: {
  readonly heap: WasmHeap;
  readonly module: WasmModule;
}): IntegerProducts {
  const scratch = openScratch(heap);
  return {
    kind: 'wasm',
    prepare(values, { k, n, transposed }): WasmOperand {
      const address = copyToHeap(
        heap,
        transposed ? values : transposeBytes(values, k, n),
        heap.reserve(values.length),
      );
      return {
        ...{ address, k, n },
        dispose() {
          heap.release(address);
        },
      };
    },
    multiply(a, b, c, m) {
      const { address, k, n } = b as WasmOperand;
      module.integerProduct(a, address, c, m, n, k, scratch.room(module.integerScratchBytes(k)));
    },
    heapRows: (b) => (b as WasmOperand).address,
    dispose() {
      scratch.dispose();
    },
  };
}
