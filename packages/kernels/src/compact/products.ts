/**
 * Matrix products that also take compact weights. A block of rows at a time becomes float32 for one product, forward and backward; no
 * weight is ever expanded whole. It stays outside the heap until it is multiplied with a few rows, as in decoding, which moves it there
 * for good.
 */
import { dispose, type Tensor2D } from '@contextlora/kernels/tfjs';

import type { FusedContext } from '../fused/context.js';
import { addBias, fewRows } from '../fused/few-rows.js';
import type { Products } from '../fused/products.js';
import type { LinearWeight } from '../kernels.js';
import { openScratch } from '../wasm/scratch.js';
import { type CompactWeight, formatOf } from './compact-formats.js';
import { expandResident, makeResident, multiplyResident, type ResidentWeight } from './resident-weight.js';

/** A weight that is expanded whenever it is used. */
interface CompactLinear extends LinearWeight {
  readonly bias: Float32Array | undefined;
  /** Shared by all copies of this record. Outside the heap until the first product with few rows, then on it, unless it does not fit. */
  readonly held: {
    place:
      { readonly compact: CompactWeight; readonly stays: boolean } | { readonly resident: ResidentWeight };
  };
}

const isCompact = (weight: LinearWeight): weight is CompactLinear => 'held' in weight;

/** The most that is expanded at a time. */
const blockBytes = 32 * 2 ** 20;

export interface CompactProducts extends Products {
  prepareCompact(
    weight: CompactWeight,
    outFeatures: number,
    inFeatures: number,
    bias: Float32Array | undefined,
  ): LinearWeight;
}

/** Adds compact weights to the products of a backend; their segments are computed in wasm. */
export function withCompactWeights(
  products: Products,
  { heap, module, scratch, lowRank }: Pick<FusedContext, 'heap' | 'module' | 'scratch' | 'lowRank'>,
): CompactProducts {
  const expanded = openScratch(heap);
  const bytes = openScratch(heap);

  /** Calls `use` with each block of rows as a float32 weight. */
  const eachBlock = (
    { held: { place }, bias, outFeatures, inFeatures }: CompactLinear,
    use: (block: LinearWeight, first: number, end: number) => void,
  ) => {
    const most = Math.max(1, Math.floor(blockBytes / 4 / inFeatures));
    const size = Math.ceil(outFeatures / Math.ceil(outFeatures / most));
    for (let first = 0; first < outFeatures; first += size) {
      const end = Math.min(outFeatures, first + size);
      const target = expanded.room((end - first) * inFeatures * 4);
      const rows = { inFeatures, first, end };
      if ('resident' in place) expandResident(place.resident, rows, { module, target });
      else
        formatOf(place.compact).expandRows(place.compact, rows, { heap, module, target, room: bytes.room });
      const part = bias?.subarray(first, end);
      use(products.weightAt(target, end - first, inFeatures, part), first, end);
    }
  };

  const residentOf = ({ held, outFeatures, inFeatures }: CompactLinear) => {
    const { place } = held;
    if ('resident' in place) return place.resident;
    if (place.stays) return undefined;
    const resident = makeResident(heap, place.compact, outFeatures, inFeatures);
    held.place = resident ? { resident } : { ...place, stays: true };
    return resident;
  };

  /** Copies some columns of a wide matrix, from column `first` on, to or from a narrow matrix that has only those. */
  const copyColumns = (wide: Tensor2D, narrow: Tensor2D, first: number, into: 'wide' | 'narrow') => {
    const [rows, columns] = wide.shape;
    const count = narrow.shape[1];
    const [all, part] = [heap.view(wide), heap.view(narrow)];
    for (let row = 0; row < rows; row++) {
      const start = row * columns + first;
      if (into === 'wide') all.set(part.subarray(row * count, (row + 1) * count), start);
      else part.set(all.subarray(start, start + count), row * count);
    }
  };

  return {
    ...products,

    prepareCompact(compact, outFeatures, inFeatures, bias): CompactLinear {
      const held: CompactLinear['held'] = { place: { compact, stays: false } };
      return {
        bias,
        outFeatures,
        inFeatures,
        hasBias: bias !== undefined,
        held,
        dispose() {
          if ('resident' in held.place) heap.release(held.place.resident.address);
        },
      };
    },

    linear(x, weight, segments) {
      if (!isCompact(weight)) return products.linear(x, weight, segments);
      const resident = x.shape[0] <= fewRows && residentOf(weight);
      if (resident) {
        const y = multiplyResident(x, resident, weight.outFeatures, { heap, module, scratch });
        if (weight.bias) addBias(heap.view(y), weight.bias);
        return { y, hidden: lowRank.addSegments(x, y, segments) };
      }
      let whole: Tensor2D | undefined;
      eachBlock(weight, (block, first, end) => {
        const { y } = products.linear(x, block, []);
        if (end - first === weight.outFeatures) {
          whole = y;
          return;
        }
        whole ??= heap.allocate([x.shape[0], weight.outFeatures]) as Tensor2D;
        copyColumns(whole, y, first, 'wide');
        y.dispose();
      });
      const y = whole!;
      return { y, hidden: lowRank.addSegments(x, y, segments) };
    },

    linearBackward(dy, saved, weight, segments, needed) {
      if (!isCompact(weight)) return products.linearBackward(dy, saved, weight, segments, needed);
      let dx: Tensor2D | null = null;
      if (needed.input)
        eachBlock(weight, (block, first, end) => {
          const isWhole = end - first === weight.outFeatures;
          const part = isWhole ? dy : (heap.allocate([dy.shape[0], end - first]) as Tensor2D);
          if (!isWhole) copyColumns(dy, part, first, 'narrow');
          const next = products.linearBackward(part, { x: saved.x, hidden: [] }, block, [], needed).dx!;
          if (!isWhole) part.dispose();
          if (dx) {
            module.add(heap.address(dx), heap.address(next), heap.address(dx), next.size);
            dispose(next);
          } else dx = next;
        });
      return { dx, segments: lowRank.segmentsBackward(dy, saved, dx, segments) };
    },

    dispose() {
      products.dispose();
      expanded.dispose();
      bytes.dispose();
    },
  };
}
