/** Rows of a matrix picked, and added back by their gradient. */
import type { Tensor2D } from '@contextlora/kernels/tfjs';

import type { Kernels } from '../kernels.js';
import { requireLength } from '../require-length.js';
import { requireIndices, requireShape } from '../require-shape.js';
import type { FusedContext } from './context.js';

type Rows = Pick<Kernels, 'embedding' | 'gatherRows' | 'gatherRowsBackward'>;

export function fusedRows({ heap }: FusedContext): Rows {
  const pick = (source: () => Float32Array, indices: Int32Array, features: number) => {
    const picked = heap.allocate([indices.length, features]) as Tensor2D;
    const [from, to] = [source(), heap.view(picked)];
    for (const [i, row] of indices.entries())
      to.set(from.subarray(row * features, (row + 1) * features), i * features);
    return picked;
  };
  return {
    embedding(table, ids, features) {
      requireIndices('embedding', ids, table.length / features);
      return pick(() => table, ids, features);
    },

    gatherRows(x, indices) {
      requireShape('gatherRows', 'x', x, [null, null]);
      requireIndices('gatherRows', indices, x.shape[0]);
      return pick(() => heap.view(x), indices, x.shape[1]);
    },

    gatherRowsBackward(dy, indices, rows) {
      requireShape('gatherRowsBackward', 'dy', dy, [null, null]);
      requireLength('gatherRowsBackward', 'indices', indices.length, dy.shape[0]);
      requireIndices('gatherRowsBackward', indices, rows);
      const features = dy.shape[1];
      const sum = heap.allocate([rows, features]) as Tensor2D;
      const [values, to] = [heap.view(dy), heap.view(sum)];
      to.fill(0);
      for (const [i, row] of indices.entries())
        for (let j = 0; j < features; j++) to[row * features + j]! += values[i * features + j]!;
      return sum;
    },
  };
}
