/** Copies compact bytes to the heap. */
import type { WasmHeap } from '../wasm/heap.js';

/** Copies values to an address, as they are, and returns the address. */
export function copyToHeap(
  heap: WasmHeap,
  values: Uint8Array | Int8Array | Uint16Array,
  address: number,
): number {
  const { buffer } = heap.floatsAt(address, 0);
  new Uint8Array(buffer, address, values.byteLength).set(
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  );
  return address;
}
