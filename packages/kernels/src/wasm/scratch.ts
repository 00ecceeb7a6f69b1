/** Memory of the heap for the duration of one operation, where operands from outside the heap are copied first. */
import type { WasmHeap } from './heap.js';

export interface Scratch {
  /** Copies arrays one after the other and returns their addresses; the next call overwrites them. */
  put(...arrays: readonly (Float32Array | Int32Array)[]): number[];
  /** The address of at least this many bytes, uninitialised; the next call overwrites them. */
  readonly room: (bytes: number) => number;
  dispose(): void;
}

/** Opens a scratch that grows to the largest request and keeps that size. */
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
