/** Elementary functions on four floats at a time. */

/** eˣ within 2 ulp (the polynomial of Cephes' expf); 0 below −87.3, e⁸⁸ above 88, where float32 ends, and NaN for NaN. */
@inline
export function exp(x: v128): v128 {
  const vanished = f32x4.lt(x, f32x4.splat(-87.3));
  x = f32x4.pmin(x, f32x4.splat(88.0));
  // Adding 1.5 · 2²³ rounds to the nearest integer and leaves it in the low bits.
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504088896341)), f32x4.splat(12582912.0));
  const n = f32x4.sub(shifted, f32x4.splat(12582912.0));
  // ln 2 in two parts, so that x − n·ln 2 loses no digits.
  const r = f32x4.add(
    f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))),
    f32x4.mul(n, f32x4.splat(2.12194440e-4)),
  );
  // In pairs, because the seven products of a chain would each wait for the one before.
  const squared = f32x4.mul(r, r);
  const high = f32x4.add(f32x4.mul(f32x4.splat(1.9875691500e-4), r), f32x4.splat(1.3981999507e-3));
  const middle = f32x4.add(f32x4.mul(f32x4.splat(8.3334519073e-3), r), f32x4.splat(4.1665795894e-2));
  const low = f32x4.add(f32x4.mul(f32x4.splat(1.6666665459e-1), r), f32x4.splat(5.0000001201e-1));
  const p = f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(high, squared), middle), squared), low);
  const e = f32x4.add(f32x4.mul(p, squared), f32x4.add(r, f32x4.splat(1.0)));
  // e is between 0.7 and 1.5: adding n to its exponent multiplies by 2ⁿ.
  return v128.andnot(i32x4.add(e, i32x4.shl(shifted, 23)), vanished);
}

/** 1 / (1 + e⁻ˣ) */
@inline
export function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1.0);
  return f32x4.div(one, f32x4.add(one, exp(f32x4.neg(x))));
}

/** e / (1 + e) for e = eˣ, also if e is infinite */
@inline
export function sigmoidFrom(e: v128): v128 {
  const finite = f32x4.pmin(e, f32x4.splat(1e38));
  return f32x4.div(finite, f32x4.add(f32x4.splat(1.0), finite));
}

/** 1 − 2 / (e²ˣ + 1) */
@inline
export function tanh(x: v128): v128 {
  const one = f32x4.splat(1.0);
  return f32x4.sub(one, f32x4.div(f32x4.splat(2.0), f32x4.add(exp(f32x4.add(x, x)), one)));
}

/** Abramowitz and Stegun 7.1.26: within 1.5e-7. */
@inline
export function erf(x: v128): v128 {
  const one = f32x4.splat(1.0);
  const size = f32x4.abs(x);
  const t = f32x4.div(one, f32x4.add(one, f32x4.mul(size, f32x4.splat(0.3275911))));
  let p = f32x4.splat(1.061405429);
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-1.453152027));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(1.421413741));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.284496736));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.254829592));
  const value = f32x4.sub(one, f32x4.mul(f32x4.mul(p, t), exp(f32x4.neg(f32x4.mul(x, x)))));
  return v128.or(value, v128.and(x, i32x4.splat(0x80000000)));
}

@inline
export function sum(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) +
    f32x4.extract_lane(x, 1) +
    (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** Four floats, or one in every lane if fewer than four are left. */
@inline
export function load(at: usize, whole: bool): v128 {
  return whole ? v128.load(at) : v128.load32_splat(at);
}

@inline
export function store(at: usize, value: v128, whole: bool): void {
  if (whole) v128.store(at, value);
  else f32.store(at, f32x4.extract_lane(value, 0));
}
