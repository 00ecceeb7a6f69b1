/** RMS and layer norm of the reference backend. */
import * as tf from '@contextlora/kernels/tfjs';

import type { Saved } from '../kernels.js';
import { requireLength } from '../require-length.js';
import { requireShape } from '../require-shape.js';

interface NormSaved extends Saved {
  /** The normalised rows, before the gain. */
  readonly normalised: tf.Tensor2D;
  /** 1 / root mean square (or deviation), `[rows, 1]`. */
  readonly inverse: tf.Tensor2D;
}

const normSaved = (normalised: tf.Tensor2D, inverse: tf.Tensor2D): NormSaved => ({
  normalised,
  inverse,
  dispose: () => {
    tf.dispose([normalised, inverse]);
  },
});

export function rmsNorm(x: tf.Tensor2D, gain: Float32Array, epsilon: number) {
  requireShape('rmsNorm', 'x', x, [null, gain.length]);
  const [y, normalised, inverse] = tf.tidy(() => {
    const q = tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), epsilon)) as tf.Tensor2D;
    const n = tf.mul(x, q) as tf.Tensor2D;
    return [tf.mul(n, tf.tensor1d(gain)) as tf.Tensor2D, n, q] as const;
  });
  return { y, saved: normSaved(normalised, inverse) };
}

/** dx = q (dy·g − n · mean(dy·g·n)) */
export function rmsNormBackward(dy: tf.Tensor2D, saved: Saved, gain: Float32Array): tf.Tensor2D {
  const { normalised: n, inverse: q } = saved as NormSaved;
  requireShape('rmsNormBackward', 'dy', dy, n.shape);
  return tf.tidy(() => {
    const dn = tf.mul(dy, tf.tensor1d(gain));
    const mean = tf.mean(tf.mul(dn, n), 1, true);
    return tf.mul(tf.sub(dn, tf.mul(n, mean)), q) as tf.Tensor2D;
  });
}

export function layerNorm(x: tf.Tensor2D, gain: Float32Array, bias: Float32Array, epsilon: number) {
  requireShape('layerNorm', 'x', x, [null, gain.length]);
  requireLength('layerNorm', 'the bias', bias.length, gain.length);
  const [y, normalised, inverse] = tf.tidy(() => {
    const centred = tf.sub(x, tf.mean(x, 1, true));
    const q = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), epsilon)) as tf.Tensor2D;
    const n = tf.mul(centred, q) as tf.Tensor2D;
    return [tf.add(tf.mul(n, tf.tensor1d(gain)), tf.tensor1d(bias)) as tf.Tensor2D, n, q] as const;
  });
  return { y, saved: normSaved(normalised, inverse) };
}

/** dx = q (dn − mean(dn) − n · mean(dn·n)), dn = dy·g */
export function layerNormBackward(dy: tf.Tensor2D, saved: Saved, gain: Float32Array): tf.Tensor2D {
  const { normalised: n, inverse: q } = saved as NormSaved;
  requireShape('layerNormBackward', 'dy', dy, n.shape);
  return tf.tidy(() => {
    const dn = tf.mul(dy, tf.tensor1d(gain));
    const along = tf.mul(n, tf.mean(tf.mul(dn, n), 1, true));
    return tf.mul(tf.sub(tf.sub(dn, tf.mean(dn, 1, true)), along), q) as tf.Tensor2D;
  });
}
