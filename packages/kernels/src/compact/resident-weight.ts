/** Compact weights that have moved to the heap, where decoding multiplies them. */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import type { FusedContext } from '../fused/context.js';
import { KernelsError } from '../kernels-error.js';
import type { WasmHeap } from '../wasm/heap.js';
import { type CompactWeight, formatOf } from './compact-formats.js';
import type { ResidentLayout } from './resident-layouts.js';
import type { RowRange } from './weight-format.js';

export interface ResidentWeight {
  readonly layout: ResidentLayout;
  readonly address: number;
  /** Bytes of one row of W. */
  readonly rowBytes: number;
}

/** Copies a weight to the heap; undefined where its rows do not fit the layout or the heap has no room. */
export function makeResident(
  heap: WasmHeap,
  weight: CompactWeight,
  outFeatures: number,
  inFeatures: number,
): ResidentWeight | undefined {
  const format = formatOf(weight);
  const { layout } = format;
  if (inFeatures % layout.rowMultiple !== 0) return undefined;
  const rowBytes = layout.rowBytes(inFeatures);
  const size = outFeatures * rowBytes;
  let address: number;
  try {
    address = heap.reserve(size);
  } catch (error) {
    if (error instanceof KernelsError && error.code === 'KERNELS_HEAP_FULL') return undefined;
    throw error;
  }
  const bytes = new Uint8Array(heap.memory.buffer, address, size);
  const floats = heap.floatsAt(address, Math.floor(size / 4));
  format.arrange(weight, { outFeatures, inFeatures }, { bytes, floats });
  return { layout, address, rowBytes };
}

/** y = x Wᵀ for a few rows, without a bias. */
export function multiplyResident(
  x: Tensor2D,
  { layout, address, rowBytes }: ResidentWeight,
  outFeatures: number,
  { heap, module, scratch }: Pick<FusedContext, 'heap' | 'module' | 'scratch'>,
): Tensor2D {
  const [rows, inFeatures] = x.shape;
  const y = heap.allocate([rows, outFeatures]) as Tensor2D;
  const operands = { x: heap.address(x), w: address, y: heap.address(y) };
  layout.multiply({ ...operands, rows, outFeatures, inFeatures, rowBytes }, module, scratch.room);
  return y;
}

/** Expands rows to float32 at an address of the heap. */
export function expandResident(
  { layout, address, rowBytes }: ResidentWeight,
  { inFeatures, first, end }: RowRange,
  { module, target }: Pick<FusedContext, 'module'> & { target: number },
): void {
  layout.expand(address + first * rowBytes, target, { count: end - first, inFeatures }, module);
}
