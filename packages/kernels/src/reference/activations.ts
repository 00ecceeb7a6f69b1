/** Activations of the reference backend, and their gradients. */
import * as tf from '@contextlora/kernels/tfjs';

import type { GeluVariant, Saved } from '../kernels.js';
import { requireChoice } from '../require-choice.js';
import { requireShape } from '../require-shape.js';

interface PairSaved extends Saved {
  readonly gate: tf.Tensor2D;
  readonly up: tf.Tensor2D;
}

export function swiglu(gate: tf.Tensor2D, up: tf.Tensor2D) {
  requireShape('swiglu', 'gate', gate, [null, null]);
  requireShape('swiglu', 'up', up, gate.shape);
  const y = tf.tidy(() => tf.mul(tf.mul(gate, tf.sigmoid(gate)), up) as tf.Tensor2D);
  const saved: PairSaved = { gate, up, dispose: () => undefined };
  return { y, saved };
}

/** dUp = dy·silu(g); dGate = dy·u·(σ + silu·(1 − σ)) */
export function swigluBackward(dy: tf.Tensor2D, saved: Saved) {
  const { gate, up } = saved as PairSaved;
  requireShape('swigluBackward', 'dy', dy, gate.shape);
  const [dGate, dUp] = tf.tidy(() => {
    const s = tf.sigmoid(gate);
    const silu = tf.mul(gate, s);
    const slope = tf.add(s, tf.mul(silu, tf.sub(1, s)));
    return [tf.mul(tf.mul(dy, up), slope), tf.mul(dy, silu)] as const;
  }) as unknown as [tf.Tensor2D, tf.Tensor2D];
  return { dGate, dUp };
}

const variants: readonly GeluVariant[] = ['tanh', 'erf', 'quick'];

interface GatedSaved extends PairSaved {
  readonly variant: GeluVariant;
}

export function geglu(gate: tf.Tensor2D, up: tf.Tensor2D, variant: GeluVariant) {
  requireShape('geglu', 'gate', gate, [null, null]);
  requireChoice('geglu', 'the variant', variant, variants);
  requireShape('geglu', 'up', up, gate.shape);
  const y = tf.tidy(() => tf.mul(tf.mul(gate, gateOf(gate, variant)), up) as tf.Tensor2D);
  const saved: GatedSaved = { gate, up, variant, dispose: () => undefined };
  return { y, saved };
}

/** dUp = dy·gelu(g); dGate = dy·u·gelu′(g) */
export function gegluBackward(dy: tf.Tensor2D, saved: Saved) {
  const { gate, up, variant } = saved as GatedSaved;
  requireShape('gegluBackward', 'dy', dy, gate.shape);
  const [dGate, dUp] = tf.tidy(() => {
    const weight = gateOf(gate, variant);
    const slope = tf.add(weight, tf.mul(gate, gateSlope(gate, variant)));
    return [tf.mul(tf.mul(dy, up), slope), tf.mul(dy, tf.mul(gate, weight))] as const;
  }) as unknown as [tf.Tensor2D, tf.Tensor2D];
  return { dGate, dUp };
}

interface UnarySaved extends Saved {
  readonly x: tf.Tensor2D;
  readonly variant: GeluVariant;
}

const rootTwoOverPi = Math.sqrt(2 / Math.PI);

export function gelu(x: tf.Tensor2D, variant: GeluVariant) {
  requireShape('gelu', 'x', x, [null, null]);
  requireChoice('gelu', 'the variant', variant, variants);
  const y = tf.tidy(() => tf.mul(x, gateOf(x, variant)) as tf.Tensor2D);
  const saved: UnarySaved = { x, variant, dispose: () => undefined };
  return { y, saved };
}

/** gelu(x) = x · gate(x) */
function gateOf(x: tf.Tensor2D, variant: GeluVariant): tf.Tensor {
  switch (variant) {
    case 'tanh':
      return tf.mul(0.5, tf.add(1, tf.tanh(innerTanh(x))));
    case 'erf':
      return tf.mul(0.5, tf.add(1, tf.erf(tf.mul(x, Math.SQRT1_2))));
    case 'quick':
      return tf.sigmoid(tf.mul(x, 1.702));
    default:
      return variant satisfies never;
  }
}

/** √(2/π) (x + 0.044715 x³) */
const innerTanh = (x: tf.Tensor2D) =>
  tf.mul(tf.mul(x, tf.add(1, tf.mul(tf.square(x), 0.044715))), rootTwoOverPi);

/** d(x·gate)/dx = gate + x·gate′ */
export function geluBackward(dy: tf.Tensor2D, saved: Saved): tf.Tensor2D {
  const { x, variant } = saved as UnarySaved;
  requireShape('geluBackward', 'dy', dy, x.shape);
  return tf.tidy(
    () => tf.mul(dy, tf.add(gateOf(x, variant), tf.mul(x, gateSlope(x, variant)))) as tf.Tensor2D,
  );
}

function gateSlope(x: tf.Tensor2D, variant: GeluVariant): tf.Tensor {
  switch (variant) {
    case 'tanh': {
      const slope = tf.mul(tf.add(1, tf.mul(tf.square(x), 3 * 0.044715)), rootTwoOverPi);
      return tf.mul(0.5, tf.mul(tf.sub(1, tf.square(tf.tanh(innerTanh(x)))), slope));
    }
    case 'erf':
      return tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    case 'quick': {
      const s = tf.sigmoid(tf.mul(x, 1.702));
      return tf.mul(1.702, tf.mul(s, tf.sub(1, s)));
    }
    default:
      return variant satisfies never;
  }
}
