/** Elementwise functions and their gradients, one pass over memory each; sizes in floats, addresses in bytes. */
import { erf, exp, load, sigmoid, sigmoidFrom, store, tanh } from './vector-math';

export function add(x: usize, y: usize, out: usize, size: i32): void {
  for (let i = 0; i < size; ) {
    const whole = i + 4 <= size;
    const at = (<usize>i) << 2;
    store(out + at, f32x4.add(load(x + at, whole), load(y + at, whole)), whole);
    i += whole ? 4 : 1;
  }
}

/** y = g·σ(g)·u; with `given`, y holds e^g already. */
export function swiglu(gate: usize, up: usize, out: usize, size: i32, given: i32): void {
  for (let i = 0; i < size; ) {
    const whole = i + 4 <= size;
    const at = (<usize>i) << 2;
    const g = load(gate + at, whole);
    const s = given ? sigmoidFrom(load(out + at, whole)) : sigmoid(g);
    store(out + at, f32x4.mul(f32x4.mul(g, s), load(up + at, whole)), whole);
    i += whole ? 4 : 1;
  }
}

/** du = dy·silu, dg = dy·u·(σ + silu·(1 − σ)); with `given`, du holds e^g already. */
export function swigluBackward(
  dy: usize,
  gate: usize,
  up: usize,
  dGate: usize,
  dUp: usize,
  size: i32,
  given: i32,
): void {
  const one = f32x4.splat(1.0);
  for (let i = 0; i < size; ) {
    const whole = i + 4 <= size;
    const at = (<usize>i) << 2;
    const d = load(dy + at, whole);
    const g = load(gate + at, whole);
    const s = given ? sigmoidFrom(load(dUp + at, whole)) : sigmoid(g);
    const silu = f32x4.mul(g, s);
    const slope = f32x4.add(s, f32x4.mul(silu, f32x4.sub(one, s)));
    store(dGate + at, f32x4.mul(f32x4.mul(d, load(up + at, whole)), slope), whole);
    store(dUp + at, f32x4.mul(d, silu), whole);
    i += whole ? 4 : 1;
  }
}

/** √(2/π) (x + 0.044715 x³) */
@inline
function innerTanh(x: v128): v128 {
  const cubed = f32x4.mul(f32x4.mul(x, x), f32x4.splat(0.044715));
  return f32x4.mul(f32x4.mul(x, f32x4.add(f32x4.splat(1.0), cubed)), f32x4.splat(0.7978845608028654));
}

/** gelu(x) = x · gate(x); variant 0 tanh, 1 erf, 2 quick. */
@inline
function gateOf(x: v128, variant: i32): v128 {
  if (variant == 2) return sigmoid(f32x4.mul(x, f32x4.splat(1.702)));
  const inner = variant == 0 ? tanh(innerTanh(x)) : erf(f32x4.mul(x, f32x4.splat(0.7071067811865476)));
  return f32x4.mul(f32x4.splat(0.5), f32x4.add(f32x4.splat(1.0), inner));
}

/** d(x·gate)/dx = gate + x·gate′ */
@inline
function geluSlope(x: v128, variant: i32): v128 {
  const one = f32x4.splat(1.0);
  const gate = gateOf(x, variant);
  let slope: v128;
  if (variant == 0) {
    const t = f32x4.sub(f32x4.add(gate, gate), one);
    const inner = f32x4.mul(
      f32x4.add(one, f32x4.mul(f32x4.mul(x, x), f32x4.splat(0.134145))),
      f32x4.splat(0.7978845608028654),
    );
    slope = f32x4.mul(f32x4.mul(f32x4.splat(0.5), f32x4.sub(one, f32x4.mul(t, t))), inner);
  } else if (variant == 1) {
    slope = f32x4.mul(exp(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.5))), f32x4.splat(0.3989422804014327));
  } else {
    slope = f32x4.mul(f32x4.splat(1.702), f32x4.mul(gate, f32x4.sub(one, gate)));
  }
  return f32x4.add(gate, f32x4.mul(x, slope));
}

export function gelu(x: usize, out: usize, size: i32, variant: i32): void {
  for (let i = 0; i < size; ) {
    const whole = i + 4 <= size;
    const at = (<usize>i) << 2;
    const value = load(x + at, whole);
    store(out + at, f32x4.mul(value, gateOf(value, variant)), whole);
    i += whole ? 4 : 1;
  }
}

export function geluBackward(dy: usize, x: usize, dx: usize, size: i32, variant: i32): void {
  for (let i = 0; i < size; ) {
    const whole = i + 4 <= size;
    const at = (<usize>i) << 2;
    store(dx + at, f32x4.mul(load(dy + at, whole), geluSlope(load(x + at, whole), variant)), whole);
    i += whole ? 4 : 1;
  }
}

/** y = gelu(g)·u */
export function geglu(gate: usize, up: usize, out: usize, size: i32, variant: i32): void {
  for (let i = 0; i < size; ) {
    const whole = i + 4 <= size;
    const at = (<usize>i) << 2;
    const g = load(gate + at, whole);
    store(out + at, f32x4.mul(f32x4.mul(g, gateOf(g, variant)), load(up + at, whole)), whole);
    i += whole ? 4 : 1;
  }
}

/** du = dy·gelu(g), dg = dy·u·gelu′(g) */
export function gegluBackward(
  dy: usize,
  gate: usize,
  up: usize,
  dGate: usize,
  dUp: usize,
  size: i32,
  variant: i32,
): void {
  for (let i = 0; i < size; ) {
    const whole = i + 4 <= size;
    const at = (<usize>i) << 2;
    const d = load(dy + at, whole);
    const g = load(gate + at, whole);
    store(dGate + at, f32x4.mul(f32x4.mul(d, load(up + at, whole)), geluSlope(g, variant)), whole);
    store(dUp + at, f32x4.mul(d, f32x4.mul(g, gateOf(g, variant))), whole);
    i += whole ? 4 : 1;
  }
}
