/** The two passes of cross-entropy over one row of logits. */
import { exp, load, store, sum } from './vector-math';

/** The largest value of a row. */
export function rowMaximum(row: usize, columns: i32): f32 {
  let lanes = f32x4.splat(-Infinity);
  let i = 0;
  for (; i + 4 <= columns; i += 4) lanes = f32x4.pmax(lanes, v128.load(row + ((<usize>i) << 2)));
  let highest = max(
    max(f32x4.extract_lane(lanes, 0), f32x4.extract_lane(lanes, 1)),
    max(f32x4.extract_lane(lanes, 2), f32x4.extract_lane(lanes, 3)),
  );
  for (; i < columns; i++) highest = max(highest, f32.load(row + ((<usize>i) << 2)));
  return highest;
}

/** Replaces each x by e^(x − shift) and returns their sum, accumulated in float64 block by block. */
export function expRow(row: usize, columns: i32, shift: f32): f64 {
  const shifts = f32x4.splat(shift);
  let total: f64 = 0;
  for (let i = 0; i < columns;) {
    const end = min(i + 256, columns);
    let lanes = f32x4.splat(0);
    for (; i + 4 <= end; i += 4) {
      const at = row + ((<usize>i) << 2);
      const e = exp(f32x4.sub(v128.load(at), shifts));
      v128.store(at, e);
      lanes = f32x4.add(lanes, e);
    }
    total += <f64>sum(lanes);
    for (; i < end; i++) {
      const at = row + ((<usize>i) << 2);
      const e = exp(f32x4.sub(v128.load32_splat(at), shifts));
      store(at, e, false);
      total += <f64>f32x4.extract_lane(e, 0);
    }
  }
  return total;
}

export function scaleRow(row: usize, columns: i32, scale: f32): void {
  const scales = f32x4.splat(scale);
  for (let i = 0; i < columns;) {
    const whole = i + 4 <= columns;
    const at = row + ((<usize>i) << 2);
    store(at, f32x4.mul(load(at, whole), scales), whole);
    i += whole ? 4 : 1;
  }
}
