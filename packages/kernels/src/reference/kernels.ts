/**
 * The reference backend: every operation composed of tfjs-core operations, for any tfjs backend (tested on wasm and WebGPU).
 *
 * It suits the wasm backend of tfjs, where only an unbatched matrix product without transposes is fast: weights are kept in both
 * orientations and small operands are transposed first. Masks are added, never selected; grouped-query attention reshapes instead of
 * repeating keys.
 */
import * as tf from '@contextlora/kernels/tfjs';

import type { Kernels } from '../kernels.js';
import { withLiveWeights } from '../live-weights.js';
import { patchesOf } from '../patches.js';
import { requireLength } from '../require-length.js';
import { requireIndices, requireShape } from '../require-shape.js';
import { geglu, gegluBackward, gelu, geluBackward, swiglu, swigluBackward } from './activations.js';
import { adamW } from './adam-w.js';
import { attention, attentionBackward, rotate } from './attention.js';
import { referenceCachedAttention } from './cached-attention.js';
import { crossEntropy, linearCrossEntropy } from './cross-entropy.js';
import { linear, linearBackward, type LinearSaved, prepareLinear } from './linear.js';
import { layerNorm, layerNormBackward, rmsNorm, rmsNormBackward } from './norms.js';

/** Makes the reference backend on the current tfjs backend. */
export function createReferenceKernels(): Kernels {
  return withLiveWeights({
    backend: 'reference',
    prepareLinear,
    linear,
    linearBackward,
    rmsNorm,
    rmsNormBackward,
    layerNorm,
    layerNormBackward,
    rotary: (x, table, shape, offset = 0) => rotate(x, table, shape, offset, 1),
    rotaryBackward: (dy, table, shape, offset = 0) => rotate(dy, table, shape, offset, -1),
    attention,
    attentionBackward,
    ...referenceCachedAttention,
    swiglu,
    swigluBackward,
    geglu,
    gegluBackward,
    embedding(table, ids, features) {
      requireIndices('embedding', ids, table.length / features);
      const values = new Float32Array(ids.length * features);
      for (const [i, id] of ids.entries())
        values.set(table.subarray(id * features, (id + 1) * features), i * features);
      return tf.tensor2d(values, [ids.length, features]);
    },
    patchEmbedding(images, weight, shape, segments = []) {
      const values = patchesOf(images, shape);
      const patches = tf.tensor2d(values, [values.length / weight.inFeatures, weight.inFeatures]);
      const { y, saved } = linear(patches, weight, segments);
      const owning: LinearSaved = {
        ...saved,
        dispose: () => {
          saved.dispose();
          patches.dispose();
        },
      };
      return { y, saved: owning };
    },
    gelu,
    geluBackward,
    add(x, y) {
      requireShape('add', 'x', x, [null, null]);
      requireShape('add', 'y', y, x.shape);
      return tf.add(x, y);
    },
    gatherRows(x, indices) {
      requireShape('gatherRows', 'x', x, [null, null]);
      requireIndices('gatherRows', indices, x.shape[0]);
      return tf.tidy(() => tf.gather(x, tf.tensor1d(indices, 'int32')));
    },
    gatherRowsBackward,
    crossEntropy,
    linearCrossEntropy,
    adamW,
    dispose: () => undefined,
  });
}

function gatherRowsBackward(dy: tf.Tensor2D, indices: Int32Array, rows: number): tf.Tensor2D {
  requireShape('gatherRowsBackward', 'dy', dy, [null, null]);
  requireLength('gatherRowsBackward', 'indices', indices.length, dy.shape[0]);
  requireIndices('gatherRowsBackward', indices, rows);
  return tf.tidy(() => {
    const places = tf.tensor2d(indices, [indices.length, 1], 'int32');
    // Rows with the same index are added up.
    return tf.scatterND<tf.Rank.R2>(places, dy, [rows, dy.shape[1]]);
  });
}
