/** Some rows of a compact weight as float32 on the heap. */
import { type BlockFormat, blockShapes, type CompactWeight } from './compact-weight.js';
import type { FusedContext } from '../fused/context.js';
import type { ResidentWeight } from './resident-weight.js';
import type { WasmModule } from '../wasm/module.js';

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
    default: {
      const { values, bytes } = blockShapes[weight.format];
      const perRow = (inFeatures / values) * bytes;
      const part = weight.blocks.subarray(first * perRow, end * perRow);
      const address = copy(part, room(part.byteLength));
      module[expansions[weight.format]](address, target, (rows * inFeatures) / values);
    }
  }
}

/** The module's function for each format in blocks. */
const expansions = {
  q8_0: 'expandQ80',
  q4_0: 'expandQ40',
  q4_1: 'expandQ41',
  q4_K: 'expandQ4K',
  q5_1: 'expandQ51',
  q5_K: 'expandQ5K',
  q6_K: 'expandQ6K',
} as const satisfies Record<BlockFormat, keyof WasmModule>;

/** The same for a weight that lies on the heap. */
export function expandResident(
  { layout, address, rowBytes }: ResidentWeight,
  { inFeatures, first, end }: { inFeatures: number; first: number; end: number },
  { module, target }: Pick<FusedContext, 'module'> & { target: number },
): void {
  const from = address + first * rowBytes;
  const rows = end - first;
  switch (layout) {
    case 'f16':
      module.expandHalf(from, target, rows * inFeatures);
      return;
    case 'bits4':
      module.expand4(from, target, rows, inFeatures / 32);
      return;
    case 'bits8':
      module.expand8(from, target, rows, inFeatures / 32);
      return;
    default:
      module[expansions[layout]](from, target, (rows * inFeatures) / blockShapes[layout].values);
  }
}
