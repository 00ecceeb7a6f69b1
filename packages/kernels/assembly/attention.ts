/** What attention needs besides matrix products: laying out and rotating heads, and softmax over the keys that a query may see. */
import { rowMaximum } from './cross-entropy';
import { exp, load, store, sum } from './vector-math';

/**
 * Copies between rows `[batch · time, heads · d]` and heads `[batch, heads, time, d]`, each side in either layout (1 for heads), rotating
 * the two halves of each head: (l, r) → (l·cos − r·sin·turn, r·cos + l·sin·turn). With turn 0 it only copies and does not read the tables.
 */
export function rotateHeads(
  source: usize,
  target: usize,
  cosines: usize,
  sines: usize,
  batch: i32,
  time: i32,
  heads: i32,
  d: i32,
  turn: f32,
  sourceHeads: i32,
  targetHeads: i32,
): void {
  const half = d >> 1;
  const halfBytes = (<usize>half) << 2;
  const turns = f32x4.splat(turn);
  for (let item = 0; item < batch; item++)
    for (let t = 0; t < time; t++)
      for (let head = 0; head < heads; head++) {
        const inRows = (((<usize>item * time + t) * heads + head) * d) << 2;
        const inHeads = (((<usize>item * heads + head) * time + t) * d) << 2;
        const from = source + (sourceHeads ? inHeads : inRows);
        const to = target + (targetHeads ? inHeads : inRows);
        if (turn == 0) {
          memory.copy(to, from, (<usize>d) << 2);
          continue;
        }
        const table = (<usize>t * half) << 2;
        for (let i = 0; i < half;) {
          const whole = i + 4 <= half;
          const at = (<usize>i) << 2;
          const c = load(cosines + table + at, whole);
          const s = f32x4.mul(load(sines + table + at, whole), turns);
          const l = load(from + at, whole);
          const r = load(from + halfBytes + at, whole);
          store(to + at, f32x4.sub(f32x4.mul(l, c), f32x4.mul(r, s)), whole);
          store(to + halfBytes + at, f32x4.add(f32x4.mul(r, c), f32x4.mul(l, s)), whole);
          i += whole ? 4 : 1;
        }
      }
}

/** Softmax of `scores [batch, heads, time, time]` in place, over the keys from the item's first to the query's position (causal) or the last; 0 elsewhere. */
export function maskedSoftmax(
  scores: usize,
  firstKeys: usize,
  batch: i32,
  heads: i32,
  time: i32,
  causal: i32,
): void {
  for (let item = 0; item < batch; item++) {
    const first = i32.load(firstKeys + ((<usize>item) << 2));
    for (let row = 0; row < heads * time; row++) {
      const query = row % time;
      const start = scores + (((<usize>item * heads * time + row) * time) << 2);
      const end = causal ? query + 1 : time;
      const shift = f32x4.splat(rowMaximum(start + ((<usize>first) << 2), end - first));
      let lanes = f32x4.splat(0);
      let total: f32 = 0;
      for (let i = first; i < end;) {
        const whole = i + 4 <= end;
        const at = start + ((<usize>i) << 2);
        const e = exp(f32x4.sub(load(at, whole), shift));
        store(at, e, whole);
        if (whole) lanes = f32x4.add(lanes, e);
        else total += f32x4.extract_lane(e, 0);
        i += whole ? 4 : 1;
      }
      total += sum(lanes);
      const scale = f32x4.splat(1 / total);
      for (let i = first; i < end;) {
        const whole = i + 4 <= end;
        const at = start + ((<usize>i) << 2);
        store(at, f32x4.mul(load(at, whole), scale), whole);
        i += whole ? 4 : 1;
      }
      memory.fill(start, 0, (<usize>min(first, time)) << 2);
      if (end < time) memory.fill(start + ((<usize>end) << 2), 0, (<usize>(time - end)) << 2);
    }
  }
}

/** dS = P ∘ (dP − rowsum(P ∘ dP)) · scale, written over dP; 0 for keys that a query may not see. */
export function maskedSoftmaxBackward(
  p: usize,
  dp: usize,
  firstKeys: usize,
  batch: i32,
  heads: i32,
  time: i32,
  causal: i32,
  scale: f32,
): void {
  const scales = f32x4.splat(scale);
  for (let item = 0; item < batch; item++) {
    const first = i32.load(firstKeys + ((<usize>item) << 2));
    for (let row = 0; row < heads * time; row++) {
      const query = row % time;
      const offset = ((<usize>item * heads * time + row) * time) << 2;
      const end = causal ? query + 1 : time;
      let lanes = f32x4.splat(0);
      let total: f32 = 0;
      for (let i = first; i < end;) {
        const whole = i + 4 <= end;
        const at = offset + ((<usize>i) << 2);
        const product = f32x4.mul(load(p + at, whole), load(dp + at, whole));
        if (whole) lanes = f32x4.add(lanes, product);
        else total += f32x4.extract_lane(product, 0);
        i += whole ? 4 : 1;
      }
      const totals = f32x4.splat(total + sum(lanes));
      for (let i = first; i < end;) {
        const whole = i + 4 <= end;
        const at = offset + ((<usize>i) << 2);
        const centred = f32x4.sub(load(dp + at, whole), totals);
        store(dp + at, f32x4.mul(f32x4.mul(load(p + at, whole), centred), scales), whole);
        i += whole ? 4 : 1;
      }
      memory.fill(dp + offset, 0, (<usize>min(first, time)) << 2);
      if (end < time) memory.fill(dp + offset + ((<usize>end) << 2), 0, (<usize>(time - end)) << 2);
    }
  }
}
