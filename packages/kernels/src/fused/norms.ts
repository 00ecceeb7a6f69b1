/** RMS and layer norm of the fast backends: one pass over each row. */
import { dispose, type Tensor2D } from '@contextlora/kernels/tfjs';

import type { Kernels, Saved } from '../kernels.js';
import { requireLength } from '../require-length.js';
import { requireShape } from '../require-shape.js';
import type { FusedContext } from './context.js';

interface NormSaved extends Saved {
  readonly x: Tensor2D;
  /** For each row 1 / root mean square, or its mean and 1 / deviation. */
  readonly statistics: Tensor2D;
}

const normSaved = (x: Tensor2D, statistics: Tensor2D): NormSaved => ({
  x,
  statistics,
  dispose: () => {
    dispose(statistics);
  },
});

type Norms = Pick<Kernels, 'rmsNorm' | 'rmsNormBackward' | 'layerNorm' | 'layerNormBackward'>;

export function fusedNorms({ heap, module, scratch }: FusedContext): Norms {
  return {
    rmsNorm(x, gain, epsilon) {
      requireShape('rmsNorm', 'x', x, [null, gain.length]);
      const [rows, columns] = x.shape;
      const y = heap.allocate(x.shape) as Tensor2D;
      const inverse = heap.allocate([rows, 1]) as Tensor2D;
      const [gainAt = 0] = scratch.put(gain);
      module.rmsNorm(heap.address(x), gainAt, heap.address(y), heap.address(inverse), rows, columns, epsilon);
      return { y, saved: normSaved(x, inverse) };
    },

    rmsNormBackward(dy, saved, gain) {
      const { x, statistics } = saved as NormSaved;
      requireShape('rmsNormBackward', 'dy', dy, x.shape);
      requireLength('rmsNormBackward', 'the gain', gain.length, x.shape[1]);
      const dx = heap.allocate(x.shape) as Tensor2D;
      const [gainAt = 0] = scratch.put(gain);
      module.rmsNormBackward(
        heap.address(dy),
        heap.address(x),
        heap.address(statistics),
        gainAt,
        heap.address(dx),
        ...x.shape,
      );
      return dx;
    },

    layerNorm(x, gain, bias, epsilon) {
      requireShape('layerNorm', 'x', x, [null, gain.length]);
      requireLength('layerNorm', 'the bias', bias.length, gain.length);
      const [rows, columns] = x.shape;
      const y = heap.allocate(x.shape) as Tensor2D;
      const statistics = heap.allocate([rows, 2]) as Tensor2D;
      const [gainAt = 0, biasAt = 0] = scratch.put(gain, bias);
      module.layerNorm(
        heap.address(x),
        gainAt,
        biasAt,
        heap.address(y),
        heap.address(statistics),
        rows,
        columns,
        epsilon,
      );
      return { y, saved: normSaved(x, statistics) };
    },

    layerNormBackward(dy, saved, gain) {
      const { x, statistics } = saved as NormSaved;
      requireShape('layerNormBackward', 'dy', dy, x.shape);
      requireLength('layerNormBackward', 'the gain', gain.length, x.shape[1]);
      const dx = heap.allocate(x.shape) as Tensor2D;
      const [gainAt = 0] = scratch.put(gain);
      module.layerNormBackward(
        heap.address(dy),
        heap.address(x),
        heap.address(statistics),
        gainAt,
        heap.address(dx),
        ...x.shape,
      );
      return dx;
    },
  };
}
