/** Memory of the heap for the length of one operation: what lies outside the heap is copied there first. */
import type { WasmHeap } from './heap.js';

export interface Scratch {
  /** Addresses of copies, one after the other; the next call overwrites them. */
  put(...arrays: readonly (Float32Array | Int32Array)[]): number[];
  /** At least this many bytes, uninitialised; the next call overwrites them. */
  readonly room: (bytes: number) => number;
  dispose(): void;
}

/** Opens a scratch that grows to the largest request and stays. */
export function openScratch(heap: WasmHeap): Scratch {
  let address = 0;
  let capacityBytes = 0;
  const room = (bytes: number) => {
    if (bytes <= capacityBytes) return address;
    const grown = heap.reserve(bytes);
    if (capacityBytes > 0) heap.release(address);
    address = grown;
    capacityBytes = bytes;
    return address;
  };
  return {
    room,
    put(...arrays) {
      const aligned = arrays.map(({ byteLength }) => Math.ceil(byteLength / 16) * 16);
      let at = room(aligned.reduce((sum, bytes) => sum + bytes, 0) + 16);
      return arrays.map((values, i) => {
        const start = at;
        at += aligned[i]!;
        const target = heap.floatsAt(start, values.length);
        if (values instanceof Float32Array) target.set(values);
        else new Int32Array(target.buffer, start, values.length).set(values);
        return start;
      });
    },
    dispose() {
      if (capacityBytes > 0) heap.release(address);
      capacityBytes = 0;
    },
  };
}
