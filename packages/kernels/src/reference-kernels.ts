/**
 * The reference ground: every operation composed of tfjs-core operations, for tfjs backends that can be read synchronously
 * (tested on wasm; WebGPU cannot be).
 *
 * It is written for the wasm backend's habits: only an unbatched matrix product without transposes is fast there, so weights are
 * kept in both orientations and small operands are transposed first; masks are added, never selected; grouped-query attention
 * reshapes instead of repeating keys.
 */
import * as tf from '@tensorflow/tfjs-core';

import { adamW } from './adam-w.js';
import { crossEntropyInPlace } from './cross-entropy.js';
import type { Kernels } from './kernels.js';
import { patchesOf } from './patches.js';
import { geglu, gegluBackward, gelu, geluBackward, swiglu, swigluBackward } from './reference-activations.js';
import { attention, attentionBackward, rotate } from './reference-attention.js';
import { referenceCachedAttention } from './reference-cached-attention.js';
import { linear, linearBackward, type LinearSaved, prepareLinear } from './reference-linear.js';
import { layerNorm, layerNormBackward, rmsNorm, rmsNormBackward } from './reference-norms.js';
import { requireIndices, requireLength, requireShape } from './require-shape.js';

/** Makes the reference ground on the tfjs backend that is set. */
export function createReferenceKernels(): Kernels {
  return {
    ground: 'reference',
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
      requireShape('add', 'y', y, x.shape);
      return tf.add(x, y);
    },
    gatherRows(x, indices) {
      requireIndices('gatherRows', indices, x.shape[0]);
      return tf.tidy(() => tf.gather(x, tf.tensor1d(indices, 'int32')));
    },
    gatherRowsBackward,
    crossEntropy(logits, targets, weights) {
      const [rows, columns] = logits.shape;
      requireLength('crossEntropy', 'targets', targets.length, rows);
      requireLength('crossEntropy', 'weights', weights.length, rows);
      const values = Float32Array.from(logits.dataSync());
      const loss = crossEntropyInPlace(values, targets, weights);
      return { loss, dLogits: tf.tensor2d(values, [rows, columns]) };
    },
    linearCrossEntropy(x, weight, targets, weights, { input }) {
      const { y, saved } = linear(x, weight);
      const values = y.dataSync() as Float32Array;
      y.dispose();
      requireLength('crossEntropy', 'targets', targets.length, x.shape[0]);
      requireLength('crossEntropy', 'weights', weights.length, x.shape[0]);
      const loss = crossEntropyInPlace(values, targets, weights);
      if (!input) return { loss, dx: null };
      const dLogits = tf.tensor2d(values, [x.shape[0], weight.outFeatures]);
      const { dx } = linearBackward(dLogits, saved, weight, [], { input });
      dLogits.dispose();
      return { loss, dx };
    },
    adamW,
    dispose: () => undefined,
  };
}

function gatherRowsBackward(dy: tf.Tensor2D, indices: Int32Array, rows: number): tf.Tensor2D {
  requireLength('gatherRowsBackward', 'indices', indices.length, dy.shape[0]);
  const features = dy.shape[1];
  const values = dy.dataSync();
  const sum = new Float32Array(rows * features);
  for (const [i, row] of indices.entries())
    for (let j = 0; j < features; j++) sum[row * features + j]! += values[i * features + j]!;
  return tf.tensor2d(sum, [rows, features]);
}
