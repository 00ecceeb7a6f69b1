/** AdamW over a stretch of flat buffers. */
import { load, store } from './vector-math';

/** m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; p ← p·decay − step · m / (√v·rootScale + ε), g the gradient times its scale. */
export function adamW(
  parameters: usize,
  gradients: usize,
  firstMoment: usize,
  secondMoment: usize,
  size: i32,
  decay: f32,
  step: f32,
  rootScale: f32,
  epsilon: f32,
  beta1: f32,
  beta2: f32,
  gradientScale: f32,
  rest1: f32,
  rest2: f32,
): void {
  for (let i = 0; i < size;) {
    const whole = i + 4 <= size;
    const at = (<usize>i) << 2;
    const g = f32x4.mul(load(gradients + at, whole), f32x4.splat(gradientScale));
    const m = f32x4.add(
      f32x4.mul(f32x4.splat(beta1), load(firstMoment + at, whole)),
      f32x4.mul(f32x4.splat(rest1), g),
    );
    const v = f32x4.add(
      f32x4.mul(f32x4.splat(beta2), load(secondMoment + at, whole)),
      f32x4.mul(f32x4.splat(rest2), f32x4.mul(g, g)),
    );
    store(firstMoment + at, m, whole);
    store(secondMoment + at, v, whole);
    const root = f32x4.add(f32x4.mul(f32x4.sqrt(v), f32x4.splat(rootScale)), f32x4.splat(epsilon));
    const change = f32x4.div(f32x4.mul(f32x4.splat(step), m), root);
    store(
      parameters + at,
      f32x4.sub(f32x4.mul(load(parameters + at, whole), f32x4.splat(decay)), change),
      whole,
    );
    i += whole ? 4 : 1;
  }
}
