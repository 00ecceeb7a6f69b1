/**
 * Products of bytes: rows become bytes with one scale each, and the exact integer sums become floats again. Bytes of activations are
 * stored with 128 added. The rotation is that of src/integer/rotate.ts, in the same order of operations.
 */

/** Four floats; with `integers`, of integers times a scale. */
@inline
function floatsAt(at: usize, integers: bool, scale: v128): v128 {
  const v = v128.load(at);
  return integers ? f32x4.mul(f32x4.convert_i32x4_s(v), scale) : v;
}

/** The last two stages of a transform, within four floats, and its scale. */
@inline
function lastStages(v: v128): v128 {
  let w = f32x4.add(
    v128.shuffle<f32>(v, v, 0, 1, 0, 1),
    v128.xor(v128.shuffle<f32>(v, v, 2, 3, 2, 3), i32x4(0, 0, -0x80000000, -0x80000000)),
  );
  w = f32x4.add(
    v128.shuffle<f32>(w, w, 0, 0, 2, 2),
    v128.xor(v128.shuffle<f32>(w, w, 1, 1, 3, 3), i32x4(0, -0x80000000, 0, -0x80000000)),
  );
  return f32x4.mul(w, f32x4.splat(0.125));
}

/** The magnitudes of floats as integers, which have the same order, with those that are not finite above all others. */
@inline
function largerMagnitudes(largest: v128, v: v128): v128 {
  return i32x4.max_s(largest, v128.and(v, i32x4.splat(0x7fffffff)));
}

/**
 * Walsh–Hadamard transforms of a row, in blocks of 64 and of what is left in smaller powers of two; `to` may be `from`. With `integers`,
 * the row is 32-bit integers times a scale. Returns the largest magnitudes.
 */
@inline
function rotateRow(from: usize, to: usize, k: i32, integers: bool, scale: f32): v128 {
  const scales = f32x4.splat(scale);
  let largest = i32x4.splat(0);
  let rest = k;
  for (; rest >= 64; rest -= 64) {
    // Two stages a pass: halves of 32 and 16 floats, then of 8 and 4.
    for (let i: usize = 0; i < 64; i += 16) {
      const a = floatsAt(from + i, integers, scales);
      const b = floatsAt(from + i + 64, integers, scales);
      const c = floatsAt(from + i + 128, integers, scales);
      const d = floatsAt(from + i + 192, integers, scales);
      const p = f32x4.add(a, c);
      const q = f32x4.add(b, d);
      const r = f32x4.sub(a, c);
      const s = f32x4.sub(b, d);
      v128.store(to + i, f32x4.add(p, q));
      v128.store(to + i, f32x4.sub(p, q), 64);
      v128.store(to + i, f32x4.add(r, s), 128);
      v128.store(to + i, f32x4.sub(r, s), 192);
    }
    for (let i: usize = 0; i < 256; i += 64) {
      const a = v128.load(to + i);
      const b = v128.load(to + i, 16);
      const c = v128.load(to + i, 32);
      const d = v128.load(to + i, 48);
      const p = f32x4.add(a, c);
      const q = f32x4.add(b, d);
      const r = f32x4.sub(a, c);
      const s = f32x4.sub(b, d);
      const first = lastStages(f32x4.add(p, q));
      const second = lastStages(f32x4.sub(p, q));
      const third = lastStages(f32x4.add(r, s));
      const fourth = lastStages(f32x4.sub(r, s));
      v128.store(to + i, first);
      v128.store(to + i, second, 16);
      v128.store(to + i, third, 32);
      v128.store(to + i, fourth, 48);
      if (!integers)
        largest = largerMagnitudes(
          largerMagnitudes(largerMagnitudes(largerMagnitudes(largest, first), second), third),
          fourth,
        );
    }
    from += 256;
    to += 256;
  }
  while (rest > 0) {
    const size = 1 << (31 - clz(rest));
    rotateSmall(from, to, size, integers, scale);
    for (let i = 0; i < size; i++) largest = largerMagnitudes(largest, v128.load32_zero(to + ((<usize>i) << 2)));
    from += (<usize>size) << 2;
    to += (<usize>size) << 2;
    rest -= size;
  }
  return largest;
}

/** One block of a smaller power of two. */
function rotateSmall(from: usize, to: usize, size: i32, integers: bool, scale: f32): void {
  for (let i = 0; i < size; i++) {
    const at = (<usize>i) << 2;
    f32.store(to + at, integers ? <f32>i32.load(from + at) * scale : f32.load(from + at));
  }
  for (let half = size >> 1; half > 0; half >>= 1)
    for (let block = 0; block < size; block += half << 1)
      for (let i = 0; i < half; i++) {
        const low = to + ((<usize>(block + i)) << 2);
        const high = low + ((<usize>half) << 2);
        const p = f32.load(low);
        const q = f32.load(high);
        f32.store(low, p + q);
        f32.store(high, p - q);
      }
  const normal = <f32>(1.0 / sqrt<f64>(<f64>size));
  for (let i = 0; i < size; i++) f32.store(to + ((<usize>i) << 2), f32.load(to + ((<usize>i) << 2)) * normal);
}

/** A row times columns; returns the largest magnitudes. */
@inline
function scaleRowColumns(from: usize, columns: usize, to: usize, bytes: usize): v128 {
  let largest = i32x4.splat(0);
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) {
    const v = f32x4.mul(v128.load(from + i), v128.load(columns + i));
    v128.store(to + i, v);
    largest = largerMagnitudes(largest, v);
  }
  for (; i < bytes; i += 4) {
    const v = f32.load(from + i) * f32.load(columns + i);
    f32.store(to + i, v);
    largest = largerMagnitudes(largest, f32x4.splat(v));
  }
  return largest;
}

/**
 * q = round(127 u / max |u|) + 128 and scale = max |u| / 127 of each row u, which is x · columns, or x rotated if `columns` is 0; `room` is
 * k floats and 60 bytes. A row that is not finite gets the scale NaN, so that its products are NaN; one below 10⁻³⁶ counts as 0.
 */
export function roundRows(x: usize, columns: usize, q: usize, scales: usize, room: usize, m: i32, k: i32): void {
  const bytes = (<usize>k) << 2;
  for (let row = 0; row < m; row++) {
    const from = x + (<usize>row) * bytes;
    const to = q + (<usize>row) * k;
    const scale = scales + ((<usize>row) << 2);
    const largest = columns != 0 ? scaleRowColumns(from, columns, room, bytes) : rotateRow(from, room, k, false, 1);
    const most = reinterpret<f32>(
      max(
        max(i32x4.extract_lane(largest, 0), i32x4.extract_lane(largest, 1)),
        max(i32x4.extract_lane(largest, 2), i32x4.extract_lane(largest, 3)),
      ),
    );
    if (!(most < Infinity) || most < 1e-36) {
      memory.fill(to, 128, k);
      f32.store(scale, most < 1e-36 ? 0 : NaN);
      continue;
    }
    f32.store(scale, most / 127);
    const inverse = f32x4.splat(127 / most);
    let i = 0;
    for (; i + 16 <= k; i += 16) v128.store(to + i, sixteenBytes(room + ((<usize>i) << 2), inverse));
    if (i < k) {
      const last = room + ((<usize>i) << 2);
      v128.store(last, sixteenBytes(last, inverse));
      memory.copy(to + i, last, k - i);
    }
  }
}

/** Adding 1.5 · 2²³ leaves the nearest integer in the low bits of a float. */
@inline
function sixteenBytes(at: usize, inverse: v128): v128 {
  const offset = f32x4.splat(12582912 + 128);
  const byte = i32x4.splat(255);
  const p = v128.and(f32x4.add(f32x4.mul(v128.load(at), inverse), offset), byte);
  const q = v128.and(f32x4.add(f32x4.mul(v128.load(at, 16), inverse), offset), byte);
  const r = v128.and(f32x4.add(f32x4.mul(v128.load(at, 32), inverse), offset), byte);
  const s = v128.and(f32x4.add(f32x4.mul(v128.load(at, 48), inverse), offset), byte);
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(p, q), i16x8.narrow_i32x4_s(r, s));
}

/** y = c · columns · rows (+ bias) in the place of the integers c; `bias` may be 0. */
export function scaleIntegers(c: usize, rows: usize, columns: usize, bias: usize, m: i32, n: i32): void {
  const bytes = (<usize>n) << 2;
  for (let row = 0; row < m; row++) {
    const at = c + (<usize>row) * bytes;
    const scale = f32.load(rows + ((<usize>row) << 2));
    const scales = f32x4.splat(scale);
    let i: usize = 0;
    if (bias != 0)
      for (; i + 16 <= bytes; i += 16) {
        const y = f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(v128.load(at + i)), v128.load(columns + i)), scales);
        v128.store(at + i, f32x4.add(y, v128.load(bias + i)));
      }
    else
      for (; i + 16 <= bytes; i += 16)
        v128.store(
          at + i,
          f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(v128.load(at + i)), v128.load(columns + i)), scales),
        );
    for (; i < bytes; i += 4)
      f32.store(
        at + i,
        <f32>i32.load(at + i) * f32.load(columns + i) * scale + (bias != 0 ? f32.load(bias + i) : 0),
      );
  }
}

/** y = (c · rows) rotated back, in the place of the integers c; the rotation is its own inverse. */
export function rotateIntegers(c: usize, rows: usize, m: i32, k: i32): void {
  for (let row = 0; row < m; row++) {
    const at = c + (((<usize>row) * k) << 2);
    rotateRow(at, at, k, true, f32.load(rows + ((<usize>row) << 2)));
  }
}

/** Rows of a that are multiplied with two rows of b while both are in the nearest caches. */
const integerRows: i32 = 32;

/** Bytes of scratch that {@link integerProduct} needs. */
export function integerScratchBytes(k: i32): i32 {
  return (integerRows + 2) * ((k + 7) & ~7) * 2;
}

/** c[m, n] = (a[m, k] − 128) · b[n, k]ᵀ, exactly: a are unsigned bytes, b signed ones, c 32-bit integers. */
export function integerProduct(a: usize, b: usize, c: usize, m: i32, n: i32, k: i32, room: usize): void {
  const wide = (<usize>((k + 7) & ~7)) << 1;
  const right = room + (<usize>integerRows) * wide;
  for (let first = 0; first < m; first += integerRows) {
    const rows = min(integerRows, m - first);
    for (let row = 0; row < rows; row++) widen(a + (<usize>(first + row)) * k, room + (<usize>row) * wide, k, wide, 0, 128);
    for (let column = 0; column < n; column += 2) {
      const pair = column + 1 < n;
      widen(b + (<usize>column) * k, right, k, wide, 1, 0);
      if (pair) widen(b + (<usize>(column + 1)) * k, right + wide, k, wide, 1, 0);
      else memory.fill(right + wide, 0, wide);
      for (let row = 0; row < rows; row += 4) {
        const left = room + (<usize>row) * wide;
        const to = c + ((<usize>((first + row) * n + column)) << 2);
        if (row + 4 <= rows) integerTile(left, right, wide, to, (<usize>n) << 2, pair);
        else
          for (let rest = 0; rest < rows - row; rest++)
            for (let side = 0; side <= <i32>pair; side++)
              i32.store(
                to + ((<usize>(rest * n + side)) << 2),
                integerDot(left + (<usize>rest) * wide, right + (<usize>side) * wide, wide),
              );
      }
    }
  }
}

/** The same for a few rows of a: b is read once and not widened to memory. */
export function integerVectors(a: usize, b: usize, c: usize, m: i32, n: i32, k: i32, room: usize): void {
  const wide = (<usize>((k + 7) & ~7)) << 1;
  for (let row = 0; row < m; row++) widen(a + (<usize>row) * k, room + (<usize>row) * wide, k, wide, 0, 128);
  const whole = (<usize>(k & ~7)) << 1;
  // Four places of b at once, far apart: memory is fetched ahead within pages of 4 KiB only.
  const quarter = n >> 2;
  const apart = (<usize>quarter) * k;
  for (let column = 0; column < quarter; column++) {
    const b0 = b + (<usize>column) * k;
    const b1 = b0 + apart;
    const b2 = b1 + apart;
    const b3 = b2 + apart;
    for (let row = 0; row < m; row++) {
      const x = room + (<usize>row) * wide;
      let s0 = i32x4.splat(0);
      let s1 = i32x4.splat(0);
      let s2 = i32x4.splat(0);
      let s3 = i32x4.splat(0);
      for (let at: usize = 0; at < whole; at += 16) {
        const v = v128.load(x + at);
        const i = at >> 1;
        s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(b0 + i)));
        s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(b1 + i)));
        s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(b2 + i)));
        s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v, v128.load_ext<i8>(b3 + i)));
      }
      const to = c + ((<usize>(row * n + column)) << 2);
      const step = (<usize>quarter) << 2;
      i32.store(to, lanesSum(s0) + restDot(x, b0, k));
      i32.store(to + step, lanesSum(s1) + restDot(x, b1, k));
      i32.store(to + step * 2, lanesSum(s2) + restDot(x, b2, k));
      i32.store(to + step * 3, lanesSum(s3) + restDot(x, b3, k));
    }
  }
  for (let column = quarter << 2; column < n; column++) {
    const from = b + (<usize>column) * k;
    for (let row = 0; row < m; row++) {
      const x = room + (<usize>row) * wide;
      let lanes = i32x4.splat(0);
      for (let at: usize = 0; at < whole; at += 16)
        lanes = i32x4.add(lanes, i32x4.dot_i16x8_s(v128.load(x + at), v128.load_ext<i8>(from + (at >> 1))));
      i32.store(c + ((<usize>(row * n + column)) << 2), lanesSum(lanes) + restDot(x, from, k));
    }
  }
}

/** The terms behind the last whole eight. */
@inline
function restDot(x: usize, b: usize, k: i32): i32 {
  let sum = 0;
  for (let i = k & ~7; i < k; i++) sum += <i32>load<i16>(x + ((<usize>i) << 1)) * <i32>load<i8>(b + i);
  return sum;
}

/** Bytes as 16-bit integers minus an offset, with zeros behind them. */
@inline
function widen(from: usize, to: usize, k: i32, wide: usize, signed: i32, offset: i32): void {
  const offsets = i16x8.splat(<i16>offset);
  let i = 0;
  for (; i + 8 <= k; i += 8)
    v128.store(
      to + ((<usize>i) << 1),
      signed ? v128.load_ext<i8>(from + i) : i16x8.sub(v128.load_ext<u8>(from + i), offsets),
    );
  for (; i < k; i++)
    store<i16>(to + ((<usize>i) << 1), <i16>((signed ? <i32>load<i8>(from + i) : <i32>load<u8>(from + i)) - offset));
  for (let at = (<usize>i) << 1; at < wide; at += 2) store<i16>(to + at, 0);
}

@inline
function lanesSum(v: v128): i32 {
  return (
    i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + (i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3))
  );
}

function integerDot(x: usize, y: usize, wide: usize): i32 {
  let lanes = i32x4.splat(0);
  for (let at: usize = 0; at < wide; at += 16)
    lanes = i32x4.add(lanes, i32x4.dot_i16x8_s(v128.load(x + at), v128.load(y + at)));
  return lanesSum(lanes);
}

/** Four rows times two: eight inner products. */
function integerTile(x: usize, y: usize, wide: usize, to: usize, rowBytes: usize, pair: bool): void {
  let s00 = i32x4.splat(0);
  let s01 = i32x4.splat(0);
  let s10 = i32x4.splat(0);
  let s11 = i32x4.splat(0);
  let s20 = i32x4.splat(0);
  let s21 = i32x4.splat(0);
  let s30 = i32x4.splat(0);
  let s31 = i32x4.splat(0);
  for (let at: usize = 0; at < wide; at += 16) {
    const p = v128.load(y + at);
    const q = v128.load(y + wide + at);
    let v = v128.load(x + at);
    s00 = i32x4.add(s00, i32x4.dot_i16x8_s(v, p));
    s01 = i32x4.add(s01, i32x4.dot_i16x8_s(v, q));
    v = v128.load(x + wide + at);
    s10 = i32x4.add(s10, i32x4.dot_i16x8_s(v, p));
    s11 = i32x4.add(s11, i32x4.dot_i16x8_s(v, q));
    v = v128.load(x + wide * 2 + at);
    s20 = i32x4.add(s20, i32x4.dot_i16x8_s(v, p));
    s21 = i32x4.add(s21, i32x4.dot_i16x8_s(v, q));
    v = v128.load(x + wide * 3 + at);
    s30 = i32x4.add(s30, i32x4.dot_i16x8_s(v, p));
    s31 = i32x4.add(s31, i32x4.dot_i16x8_s(v, q));
  }
  storePair(to, s00, s01, pair);
  storePair(to + rowBytes, s10, s11, pair);
  storePair(to + rowBytes * 2, s20, s21, pair);
  storePair(to + rowBytes * 3, s30, s31, pair);
}

@inline
function storePair(to: usize, first: v128, second: v128, pair: bool): void {
  i32.store(to, lanesSum(first));
  if (pair) i32.store(to, lanesSum(second), 4);
}
