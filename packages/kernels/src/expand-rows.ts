/** Some rows of a compact weight as float32 on the heap. */
import { blockShapes, type CompactWeight } from './compact-weight.js';
import type { FusedContext } from './fused-context.js';
import type { ResidentWeight } from './resident-weight.js';

/** Expands rows `[first, end)` to float32 at an address of the heap; `room` is a function that gives scratch for the compact bytes. */
export function expandRows(
  weight: CompactWeight,
  { inFeatures, first, end }: { inFeatures: number; first: number; end: number },
  {
    heap,
    module,
    target,
    room,
  }: Pick<FusedContext, 'heap' | 'module'> & {
    target: number;
    room: (bytes: number) => number;
  },
): void {
  const rows = end - first;
  const copy = (values: Uint8Array | Int8Array | Uint16Array, address: number) => {
    const { buffer } = heap.floatsAt(address, 0);
    new Uint8Array(buffer, address, values.byteLength).set(
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    );
    return address;
  };
  switch (weight.format) {
    case 'f16': {
      const part = weight.values.subarray(first * inFeatures, end * inFeatures);
      module.expandHalf(copy(part, room(part.byteLength)), target, part.length);
      return;
    }
    case 'int8': {
      const part = weight.values.subarray(first * inFeatures, end * inFeatures);
      const scales = weight.scales.subarray(first, end);
      // Behind the values, at a float's boundary.
      const behind = Math.ceil(part.byteLength / 4) * 4;
      const address = copy(part, room(behind + scales.byteLength));
      heap.floatsAt(address + behind, rows).set(scales);
      module.expandInt8(address, address + behind, target, rows, inFeatures);
      return;
    }
    case 'q8_0':
    case 'q4_0':
    case 'q4_1':
    case 'q4_K': {
      const { values, bytes } = blockShapes[weight.format];
      const perRow = (inFeatures / values) * bytes;
      const part = weight.blocks.subarray(first * perRow, end * perRow);
      const address = copy(part, room(part.byteLength));
      const expand = {
        q8_0: module.expandQ80,
        q4_0: module.expandQ40,
        q4_1: module.expandQ41,
        q4_K: module.expandQ4K,
      };
      expand[weight.format](address, target, (rows * inFeatures) / values);
      return;
    }
    default:
      weight satisfies never;
  }
}

/** The same for a weight that lies on the heap. */
export function expandResident(
  { layout, address, rowBytes }: ResidentWeight,
  { inFeatures, first, end }: { inFeatures: number; first: number; end: number },
  { module, target }: Pick<FusedContext, 'module'> & { target: number },
): void {
  const from = address + first * rowBytes;
  if (layout === 'f16') module.expandHalf(from, target, (end - first) * inFeatures);
  else module[layout === 'bits4' ? 'expand4' : 'expand8'](from, target, end - first, inFeatures / 32);
}
