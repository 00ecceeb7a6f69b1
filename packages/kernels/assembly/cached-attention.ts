/** Attention of new positions over the cached keys and values of earlier ones. */
import { rowMaximum } from './cross-entropy';
import { exp, sum } from './vector-math';

/**
 * Appends new keys or values from rows `[batch · time, heads · d]` to `[batch, heads, capacity, d]`, rotated as by rotateHeads (turn 1)
 * or as they are (0). Item i has `counts[i]` new rows, at positions from `starts[i]` on.
 */
export function appendHeads(
  source: usize,
  target: usize,
  cosines: usize,
  sines: usize,
  starts: usize,
  counts: usize,
  batch: i32,
  time: i32,
  heads: i32,
  d: i32,
  capacity: i32,
  turn: i32,
): void {
  for (let item = 0; item < batch; item++) {
    const start = i32.load(starts + ((<usize>item) << 2));
    const count = i32.load(counts + ((<usize>item) << 2));
    for (let t = 0; t < count; t++)
      for (let head = 0; head < heads; head++) {
        const from = source + (<usize>(((<usize>item * time + t) * heads + head) * d) << 2);
        const to = target + (<usize>(((<usize>item * heads + head) * capacity + start + t) * d) << 2);
        if (turn == 0) memory.copy(to, from, (<usize>d) << 2);
        else turnHead(from, to, cosines, sines, start + t, d);
      }
  }
}

/** (l, r) → (l·cos − r·sin, r·cos + l·sin) with the angles of a position. */
function turnHead(from: usize, to: usize, cosines: usize, sines: usize, position: i32, d: i32): void {
  const half = d >> 1;
  const halfBytes = (<usize>half) << 2;
  const table = (<usize>position * half) << 2;
  let i = 0;
  for (; i + 4 <= half; i += 4) {
    const at = (<usize>i) << 2;
    const c = v128.load(cosines + table + at);
    const s = v128.load(sines + table + at);
    const l = v128.load(from + at);
    const r = v128.load(from + halfBytes + at);
    v128.store(to + at, f32x4.sub(f32x4.mul(l, c), f32x4.mul(r, s)));
    v128.store(to + halfBytes + at, f32x4.add(f32x4.mul(r, c), f32x4.mul(l, s)));
  }
  for (; i < half; i++) {
    const at = (<usize>i) << 2;
    const c = f32.load(cosines + table + at);
    const s = f32.load(sines + table + at);
    const l = f32.load(from + at);
    const r = f32.load(from + halfBytes + at);
    f32.store(to + at, l * c - r * s);
    f32.store(to + halfBytes + at, r * c + l * s);
  }
}

@inline
function dotOf(x: usize, y: usize, d: i32): f32 {
  let lanes = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= d; i += 4) {
    const at = (<usize>i) << 2;
    lanes = f32x4.add(lanes, f32x4.mul(v128.load(x + at), v128.load(y + at)));
  }
  let total = sum(lanes);
  for (; i < d; i++) total += f32.load(x + ((<usize>i) << 2)) * f32.load(y + ((<usize>i) << 2));
  return total;
}

/** Replaces each x of a row by e^(x − largest) and returns their sum. */
function expInPlace(row: usize, size: i32): f32 {
  const highest = rowMaximum(row, size);
  const shift = f32x4.splat(highest);
  let lanes = f32x4.splat(0);
  let total: f32 = 0;
  let i = 0;
  for (; i + 4 <= size; i += 4) {
    const at = row + ((<usize>i) << 2);
    const e = exp(f32x4.sub(v128.load(at), shift));
    v128.store(at, e);
    lanes = f32x4.add(lanes, e);
  }
  for (; i < size; i++) {
    const at = row + ((<usize>i) << 2);
    const e = f32x4.extract_lane(exp(f32x4.splat(f32.load(at) - highest)), 0);
    f32.store(at, e);
    total += e;
  }
  return total + sum(lanes);
}

/**
 * y[batch · time, heads · d] = softmax(q kᵀ · scale) v: query t of item i is at position `starts[i] + t` and sees all keys up to there.
 * Rows from `counts[i]` on are padding and become 0. `room` is scratch for a query (d floats) and a row of scores.
 */
export function attendCached(
  q: usize,
  keys: usize,
  values: usize,
  y: usize,
  cosines: usize,
  sines: usize,
  starts: usize,
  counts: usize,
  room: usize,
  batch: i32,
  time: i32,
  heads: i32,
  kvHeads: i32,
  d: i32,
  capacity: i32,
  turn: i32,
  scale: f32,
): void {
  const group = heads / kvHeads;
  const headBytes = (<usize>d) << 2;
  const query = room;
  const scores = room + ((headBytes + 15) & ~15);
  for (let item = 0; item < batch; item++) {
    const start = i32.load(starts + ((<usize>item) << 2));
    const count = i32.load(counts + ((<usize>item) << 2));
    for (let t = 0; t < time; t++)
      for (let head = 0; head < heads; head++) {
        const at = (<usize>(((<usize>item * time + t) * heads + head) * d)) << 2;
        const out = y + at;
        memory.fill(out, 0, headBytes);
        if (t >= count) continue;
        if (turn == 0) memory.copy(query, q + at, headBytes);
        else turnHead(q + at, query, cosines, sines, start + t, d);
        const shared = (<usize>(((<usize>item * kvHeads + head / group) * capacity) * d)) << 2;
        const seen = start + t + 1;
        for (let key = 0; key < seen; key++)
          f32.store(scores + ((<usize>key) << 2), dotOf(query, keys + shared + (<usize>key) * headBytes, d) * scale);
        const inverse: f32 = 1 / expInPlace(scores, seen);
        for (let key = 0; key < seen; key++) {
          const weight = f32.load(scores + ((<usize>key) << 2)) * inverse;
          const lanes = f32x4.splat(weight);
          const value = values + shared + (<usize>key) * headBytes;
          let i = 0;
          for (; i + 4 <= d; i += 4) {
            const to = (<usize>i) << 2;
            v128.store(out + to, f32x4.add(v128.load(out + to), f32x4.mul(lanes, v128.load(value + to))));
          }
          for (; i < d; i++) {
            const to = (<usize>i) << 2;
            f32.store(out + to, f32.load(out + to) + weight * f32.load(value + to));
          }
        }
      }
  }
}
