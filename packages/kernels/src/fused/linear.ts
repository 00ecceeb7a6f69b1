/** Linear layers and patch embedding of the fast backends, over their matrix products. */
import { dispose, type Tensor2D } from '@contextlora/kernels/tfjs';

import { formatOf } from '../compact/compact-formats.js';
import { requireIntegerWeight } from '../integer/integer-weight.js';
import type { AllProducts } from '../integer/products.js';
import type { Kernels, LinearWeight, LoraSegment, Saved } from '../kernels.js';
import { patchesOf } from '../patches.js';
import { requireLength } from '../require-length.js';
import { requireSegments, requireShape } from '../require-shape.js';
import type { FusedContext } from './context.js';

interface LinearSaved extends Saved {
  readonly x: Tensor2D;
  /** scale · x Aᵀ per segment, `[rows, rank]`. */
  readonly hidden: readonly Tensor2D[];
}

type Linear = Pick<Kernels, 'prepareLinear' | 'linear' | 'linearBackward' | 'patchEmbedding'>;

export function fusedLinear({
  heap,
  products,
}: Pick<FusedContext, 'heap'> & { readonly products: AllProducts }): Linear {
  /** `owned` is freed together with what is saved. */
  const apply = (
    x: Tensor2D,
    weight: LinearWeight,
    segments: readonly LoraSegment[],
    owned: readonly Tensor2D[],
  ) => {
    requireShape('linear', 'x', x, [null, weight.inFeatures]);
    requireSegments('linear', segments, weight, x.shape[0]);
    const { y, hidden } = products.linear(x, weight, segments);
    const saved: LinearSaved = {
      x,
      hidden,
      dispose: () => {
        dispose([...hidden, ...owned]);
      },
    };
    return { y, saved };
  };

  return {
    prepareLinear(weight, outFeatures, inFeatures, bias) {
      if (bias) requireLength('prepareLinear', 'the bias', bias.length, outFeatures);
      if (!(weight instanceof Float32Array) && weight.format === 'w8a8') {
        requireIntegerWeight(weight, { outFeatures, inFeatures });
        return products.prepareInteger(weight, outFeatures, inFeatures, bias);
      }
      if (!(weight instanceof Float32Array)) {
        formatOf(weight).check(weight, { outFeatures, inFeatures });
        return products.prepareCompact(weight, outFeatures, inFeatures, bias);
      }
      requireLength('prepareLinear', 'the weight', weight.length, outFeatures * inFeatures);
      return products.prepareLinear(weight, outFeatures, inFeatures, bias);
    },

    linear: (x, weight, segments = []) => apply(x, weight, segments, []),

    linearBackward(dy, saved, weight, segments, needed) {
      const { x, hidden } = saved as LinearSaved;
      requireShape('linearBackward', 'dy', dy, [x.shape[0], weight.outFeatures]);
      requireSegments('linearBackward', segments, weight, x.shape[0]);
      requireLength('linearBackward', 'the segments', segments.length, hidden.length);
      if (!needed.input && !segments.some(({ train }) => train))
        return { dx: null, segments: segments.map(() => null) };
      return products.linearBackward(dy, { x, hidden }, weight, segments, needed);
    },

    patchEmbedding(images, weight, shape, segments = []) {
      const values = patchesOf(images, shape);
      const width = shape.channels * shape.patchSizePixels ** 2;
      const patches = heap.allocate([values.length / width, width]) as Tensor2D;
      heap.view(patches).set(values);
      return apply(patches, weight, segments, [patches]);
    },
  };
}
