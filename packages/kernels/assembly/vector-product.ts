/**
 * y = x Wᵀ for one or a few rows of x, as in decoding: every weight is read once, in its resident layout, and never expanded to memory.
 *
 * Weights of 4 and 8 bits are multiplied as integers, for which the instruction set has eight lanes instead of four. For this, each 32
 * values of x become s (hi + lo / 65536) with 16-bit integers hi and lo, which keep 30 bits, more than a float has.
 */
import { expandBlock32, expandQ51, expandQ5K, expandQ6K, half, halvesToFloats } from './compact';
import { sum } from './vector-math';

/** Bytes of 32 arranged values: hi and lo (64 each), s in four lanes. */
const arrangedBytes: usize = 144;

/** y[rows, n] = x[rows, k] · w[n, k]ᵀ */
export function vectorProductF32(x: usize, w: usize, y: usize, rows: i32, n: i32, k: i32): void {
  const rowBytes = (<usize>k) << 2;
  const end = (<usize>(k & ~7)) << 2;
  for (let out = 0; out < n; out++) {
    const weights = w + (<usize>out) * rowBytes;
    for (let row = 0; row < rows; row++) {
      const values = x + (<usize>row) * rowBytes;
      let s0 = f32x4.splat(0);
      let s1 = f32x4.splat(0);
      for (let at: usize = 0; at < end; at += 32) {
        s0 = f32x4.add(s0, f32x4.mul(v128.load(values + at), v128.load(weights + at)));
        s1 = f32x4.add(s1, f32x4.mul(v128.load(values + at, 16), v128.load(weights + at, 16)));
      }
      let total = sum(f32x4.add(s0, s1));
      for (let at = end; at < rowBytes; at += 4) total += f32.load(values + at) * f32.load(weights + at);
      f32.store(y + ((<usize>(row * n + out)) << 2), total);
    }
  }
}

/** {@link vectorProductF32} for halves. */
export function vectorProductF16(x: usize, w: usize, y: usize, rows: i32, n: i32, k: i32): void {
  const whole = k & ~7;
  for (let out = 0; out < n; out++) {
    const weights = w + (((<usize>out) * k) << 1);
    for (let row = 0; row < rows; row++) {
      const values = x + (((<usize>row) * k) << 2);
      let s0 = f32x4.splat(0);
      let s1 = f32x4.splat(0);
      let i = 0;
      for (; i < whole; i += 8) {
        const from = weights + ((<usize>i) << 1);
        const at = values + ((<usize>i) << 2);
        s0 = f32x4.add(s0, f32x4.mul(v128.load(at), halvesToFloats(v128.load_ext<u16>(from))));
        s1 = f32x4.add(s1, f32x4.mul(v128.load(at, 16), halvesToFloats(v128.load_ext<u16>(from + 8))));
      }
      let total = sum(f32x4.add(s0, s1));
      for (; i < k; i++) total += f32.load(values + ((<usize>i) << 2)) * half(weights + ((<usize>i) << 1));
      f32.store(y + ((<usize>(row * n + out)) << 2), total);
    }
  }
}

/**
 * Arranges values for the integer products, 32 at a time. With `bits` 4, hi and lo are in the order in which a mask and shifts by 4, 8
 * and 12 take 4-bit numbers from 16-bit lanes; with 8, in the order of the values. `sums` receives the sum of each 32.
 */
export function arrangeIntegers(x: usize, out: usize, sums: usize, blocks: i32, bits: i32): void {
  for (let block = 0; block < blocks; block++) {
    const from = x + ((<usize>block) << 7);
    const to = out + (<usize>block) * arrangedBytes;
    let largest = f32x4.splat(0);
    let total = f32x4.splat(0);
    for (let at: usize = 0; at < 128; at += 16) {
      const v = v128.load(from + at);
      largest = f32x4.max(largest, f32x4.abs(v));
      total = f32x4.add(total, v);
    }
    f32.store(sums + ((<usize>block) << 2), sum(total));
    const most = max(
      max(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
      max(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
    );
    if (!(most < Infinity)) {
      // NaN or infinity make the products of their row NaN.
      memory.fill(to, 0, 128);
      v128.store(to, f32x4.splat(NaN), 128);
      continue;
    }
    // A power of two, so that dividing loses nothing; hi is at most 2¹⁴. If all are below 10⁻³⁰ they count as 0.
    const s = most > 1e-30 ? reinterpret<f32>((reinterpret<i32>(most) & 0x7f800000) - (13 << 23)) : 1;
    const inverse: f32 = 1 / s;
    for (let i = 0; i < 32; i++) {
      const value = f32.load(from + ((<usize>i) << 2)) * inverse;
      const hi = nearest(value);
      const lo = max<f32>(-32767, min<f32>(32767, nearest((value - hi) * 65536)));
      let place = i;
      if (bits == 4) {
        // Byte i of a block holds numbers i and i + 16: lane i / 2 of 16 bits, shifted by 0 or 8, and by 4 more for the second.
        const byte = i & 15;
        place = (((byte & 1) << 1) + (i >> 4)) * 8 + (byte >> 1);
      }
      store<i16>(to + ((<usize>place) << 1), <i16>(<i32>hi));
      store<i16>(to + ((<usize>place) << 1), <i16>(<i32>lo), 64);
    }
    v128.store(to, f32x4.splat(s), 128);
  }
}

/** Σ (hi + lo / 65536) q over eight numbers a step, four steps. */
@inline
function integerProducts(q0: v128, q1: v128, q2: v128, q3: v128, at: usize): v128 {
  const hi = i32x4.add(
    i32x4.add(i32x4.dot_i16x8_s(q0, v128.load(at)), i32x4.dot_i16x8_s(q1, v128.load(at, 16))),
    i32x4.add(i32x4.dot_i16x8_s(q2, v128.load(at, 32)), i32x4.dot_i16x8_s(q3, v128.load(at, 48))),
  );
  const lo = i32x4.add(
    i32x4.add(i32x4.dot_i16x8_s(q0, v128.load(at, 64)), i32x4.dot_i16x8_s(q1, v128.load(at, 80))),
    i32x4.add(i32x4.dot_i16x8_s(q2, v128.load(at, 96)), i32x4.dot_i16x8_s(q3, v128.load(at, 112))),
  );
  return f32x4.add(
    f32x4.convert_i32x4_s(hi),
    f32x4.mul(f32x4.convert_i32x4_s(lo), f32x4.splat(1.52587890625e-5)),
  );
}

/**
 * 4-bit numbers, w = d q + m. A row of W is its scales d, its minima m (a float for every 32 numbers), then 16 bytes for every 32: byte i
 * holds numbers i and i + 16.
 */
export function vectorProduct4(x: usize, sums: usize, w: usize, y: usize, rows: i32, n: i32, blocks: i32): void {
  const scaleBytes = (<usize>blocks) << 2;
  const fifteen = i16x8.splat(15);
  for (let out = 0; out < n; out++) {
    const scales = w + (<usize>out) * (<usize>blocks) * 24;
    const minima = scales + scaleBytes;
    const numbers = minima + scaleBytes;
    for (let row = 0; row < rows; row++) {
      const values = x + (<usize>(row * blocks)) * arrangedBytes;
      const totals = sums + ((<usize>(row * blocks)) << 2);
      let lanes = f32x4.splat(0);
      for (let block = 0; block < blocks; block++) {
        const at = values + (<usize>block) * arrangedBytes;
        const p = v128.load(numbers + ((<usize>block) << 4));
        const products = integerProducts(
          v128.and(p, fifteen),
          v128.and(i16x8.shr_u(p, 4), fifteen),
          v128.and(i16x8.shr_u(p, 8), fifteen),
          i16x8.shr_u(p, 12),
          at,
        );
        const scale = f32x4.mul(v128.load32_splat(scales + ((<usize>block) << 2)), v128.load(at, 128));
        lanes = f32x4.add(lanes, f32x4.mul(products, scale));
      }
      let offset: f32 = 0;
      let block = 0;
      for (; block + 4 <= blocks; block += 4) {
        const at = (<usize>block) << 2;
        lanes = f32x4.add(lanes, f32x4.mul(v128.load(minima + at), v128.load(totals + at)));
      }
      for (; block < blocks; block++) {
        const at = (<usize>block) << 2;
        offset += f32.load(minima + at) * f32.load(totals + at);
      }
      f32.store(y + ((<usize>(row * n + out)) << 2), sum(lanes) + offset);
    }
  }
}

/** Signed bytes, w = d q. A row of W is its scales d (a float for every 32 numbers), then the bytes. */
export function vectorProduct8(x: usize, w: usize, y: usize, rows: i32, n: i32, blocks: i32): void {
  const scaleBytes = (<usize>blocks) << 2;
  for (let out = 0; out < n; out++) {
    const scales = w + (<usize>out) * (<usize>blocks) * 36;
    const numbers = scales + scaleBytes;
    for (let row = 0; row < rows; row++) {
      const values = x + (<usize>(row * blocks)) * arrangedBytes;
      let lanes = f32x4.splat(0);
      for (let block = 0; block < blocks; block++) {
        const at = values + (<usize>block) * arrangedBytes;
        const from = numbers + ((<usize>block) << 5);
        const products = integerProducts(
          v128.load_ext<i8>(from),
          v128.load_ext<i8>(from + 8),
          v128.load_ext<i8>(from + 16),
          v128.load_ext<i8>(from + 24),
          at,
        );
        const scale = f32x4.mul(v128.load32_splat(scales + ((<usize>block) << 2)), v128.load(at, 128));
        lanes = f32x4.add(lanes, f32x4.mul(products, scale));
      }
      f32.store(y + ((<usize>(row * n + out)) << 2), sum(lanes));
    }
  }
}

/**
 * Blocks as in files, for formats whose numbers do not fit the integer products: each row of W becomes k floats in `room` and is multiplied
 * there. `kind` is 0 for q5_1, 1 for q5_K, 2 for q6_K; a row has `blocks` blocks in `rowBytes` bytes.
 */
export function vectorProductBlocks(
  x: usize,
  w: usize,
  y: usize,
  rows: i32,
  n: i32,
  k: i32,
  blocks: i32,
  rowBytes: i32,
  kind: i32,
  room: usize,
): void {
  for (let out = 0; out < n; out++) {
    const weights = w + (<usize>out) * rowBytes;
    if (kind == 0) expandQ51(weights, room, blocks);
    else if (kind == 1) expandQ5K(weights, room, blocks);
    else expandQ6K(weights, room, blocks);
    for (let row = 0; row < rows; row++)
      vectorProductF32(x + (((<usize>row) * k) << 2), room, y + ((<usize>(row * n + out)) << 2), 1, 1, k);
  }
}

/** Expands rows in the layout of {@link vectorProduct4}. */
export function expand4(w: usize, target: usize, rows: i32, blocks: i32): void {
  const scaleBytes = (<usize>blocks) << 2;
  for (let row = 0; row < rows; row++) {
    const scales = w + (<usize>row) * (<usize>blocks) * 24;
    const minima = scales + scaleBytes;
    const numbers = minima + scaleBytes;
    for (let block = 0; block < blocks; block++)
      expandBlock32(
        numbers + ((<usize>block) << 4),
        f32.load(scales + ((<usize>block) << 2)),
        f32.load(minima + ((<usize>block) << 2)),
        target + ((<usize>(row * blocks + block)) << 7),
      );
  }
}

/** Expands rows in the layout of {@link vectorProduct8}. */
export function expand8(w: usize, target: usize, rows: i32, blocks: i32): void {
  const scaleBytes = (<usize>blocks) << 2;
  for (let row = 0; row < rows; row++) {
    const scales = w + (<usize>row) * (<usize>blocks) * 36;
    for (let block = 0; block < blocks; block++) {
      const scale = v128.load32_splat(scales + ((<usize>block) << 2));
      const from = scales + scaleBytes + ((<usize>block) << 5);
      const to = target + ((<usize>(row * blocks + block)) << 7);
      for (let i: usize = 0; i < 32; i += 4) {
        const wide = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(from + i)));
        v128.store(to + (i << 2), f32x4.mul(f32x4.convert_i32x4_s(wide), scale));
      }
    }
  }
}
