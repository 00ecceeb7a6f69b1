/** RMS and layer norm of rows, forward and backward. */
import { load, store, sum } from './vector-math';

/** y = x q g, q = 1/√(mean x² + ε) */
export function rmsNorm(
  x: usize,
  gain: usize,
  y: usize,
  inverse: usize,
  rows: i32,
  columns: i32,
  epsilon: f32,
): void {
  for (let row = 0; row < rows; row++) {
    const start = (<usize>row * columns) << 2;
    let squares: f32 = 0;
    let lanes = f32x4.splat(0);
    let i = 0;
    for (; i + 4 <= columns; i += 4) {
      const v = v128.load(x + start + ((<usize>i) << 2));
      lanes = f32x4.add(lanes, f32x4.mul(v, v));
    }
    squares = sum(lanes);
    for (; i < columns; i++) {
      const v = f32.load(x + start + ((<usize>i) << 2));
      squares += v * v;
    }
    const q: f32 = 1 / sqrt<f32>(squares / <f32>columns + epsilon);
    f32.store(inverse + ((<usize>row) << 2), q);
    const scale = f32x4.splat(q);
    for (i = 0; i < columns;) {
      const whole = i + 4 <= columns;
      const at = (<usize>i) << 2;
      store(
        y + start + at,
        f32x4.mul(f32x4.mul(load(x + start + at, whole), scale), load(gain + at, whole)),
        whole,
      );
      i += whole ? 4 : 1;
    }
  }
}

/** dx = q (dy·g − n · mean(dy·g·n)), n = x q */
export function rmsNormBackward(
  dy: usize,
  x: usize,
  inverse: usize,
  gain: usize,
  dx: usize,
  rows: i32,
  columns: i32,
): void {
  for (let row = 0; row < rows; row++) {
    const start = (<usize>row * columns) << 2;
    const q = f32.load(inverse + ((<usize>row) << 2));
    let lanes = f32x4.splat(0);
    let i = 0;
    for (; i + 4 <= columns; i += 4) {
      const at = (<usize>i) << 2;
      const dn = f32x4.mul(v128.load(dy + start + at), v128.load(gain + at));
      lanes = f32x4.add(lanes, f32x4.mul(dn, v128.load(x + start + at)));
    }
    let dot = sum(lanes);
    for (; i < columns; i++) {
      const at = (<usize>i) << 2;
      dot += f32.load(dy + start + at) * f32.load(gain + at) * f32.load(x + start + at);
    }
    const along = f32x4.splat(((dot * q) / <f32>columns) * q);
    const scale = f32x4.splat(q);
    for (i = 0; i < columns;) {
      const whole = i + 4 <= columns;
      const at = (<usize>i) << 2;
      const dn = f32x4.mul(load(dy + start + at, whole), load(gain + at, whole));
      store(
        dx + start + at,
        f32x4.mul(f32x4.sub(dn, f32x4.mul(load(x + start + at, whole), along)), scale),
        whole,
      );
      i += whole ? 4 : 1;
    }
  }
}

/** y = n g + b, n = (x − mean) q, q = 1/√(variance + ε); keeps mean and q per row in `statistics`. */
export function layerNorm(
  x: usize,
  gain: usize,
  bias: usize,
  y: usize,
  statistics: usize,
  rows: i32,
  columns: i32,
  epsilon: f32,
): void {
  for (let row = 0; row < rows; row++) {
    const start = (<usize>row * columns) << 2;
    let lanes = f32x4.splat(0);
    let i = 0;
    for (; i + 4 <= columns; i += 4) lanes = f32x4.add(lanes, v128.load(x + start + ((<usize>i) << 2)));
    let total = sum(lanes);
    for (; i < columns; i++) total += f32.load(x + start + ((<usize>i) << 2));
    const mean = total / <f32>columns;
    const means = f32x4.splat(mean);
    lanes = f32x4.splat(0);
    for (i = 0; i + 4 <= columns; i += 4) {
      const c = f32x4.sub(v128.load(x + start + ((<usize>i) << 2)), means);
      lanes = f32x4.add(lanes, f32x4.mul(c, c));
    }
    let squares = sum(lanes);
    for (; i < columns; i++) {
      const c = f32.load(x + start + ((<usize>i) << 2)) - mean;
      squares += c * c;
    }
    const q: f32 = 1 / sqrt<f32>(squares / <f32>columns + epsilon);
    f32.store(statistics + ((<usize>row) << 3), mean);
    f32.store(statistics + ((<usize>row) << 3) + 4, q);
    const scale = f32x4.splat(q);
    for (i = 0; i < columns;) {
      const whole = i + 4 <= columns;
      const at = (<usize>i) << 2;
      const n = f32x4.mul(f32x4.sub(load(x + start + at, whole), means), scale);
      store(y + start + at, f32x4.add(f32x4.mul(n, load(gain + at, whole)), load(bias + at, whole)), whole);
      i += whole ? 4 : 1;
    }
  }
}

/** dx = q (dn − mean(dn) − n · mean(dn·n)), dn = dy·g */
export function layerNormBackward(
  dy: usize,
  x: usize,
  statistics: usize,
  gain: usize,
  dx: usize,
  rows: i32,
  columns: i32,
): void {
  for (let row = 0; row < rows; row++) {
    const start = (<usize>row * columns) << 2;
    const mean = f32.load(statistics + ((<usize>row) << 3));
    const q = f32.load(statistics + ((<usize>row) << 3) + 4);
    const means = f32x4.splat(mean);
    const scale = f32x4.splat(q);
    let plain = f32x4.splat(0);
    let along = f32x4.splat(0);
    let i = 0;
    for (; i + 4 <= columns; i += 4) {
      const at = (<usize>i) << 2;
      const dn = f32x4.mul(v128.load(dy + start + at), v128.load(gain + at));
      plain = f32x4.add(plain, dn);
      along = f32x4.add(along, f32x4.mul(dn, f32x4.sub(v128.load(x + start + at), means)));
    }
    let plainSum = sum(plain);
    let alongSum = sum(along);
    for (; i < columns; i++) {
      const at = (<usize>i) << 2;
      const dn = f32.load(dy + start + at) * f32.load(gain + at);
      plainSum += dn;
      alongSum += dn * (f32.load(x + start + at) - mean);
    }
    const plainMean = f32x4.splat(plainSum / <f32>columns);
    const alongMean = f32x4.splat(((alongSum * q) / <f32>columns) * q);
    for (i = 0; i < columns;) {
      const whole = i + 4 <= columns;
      const at = (<usize>i) << 2;
      const dn = f32x4.mul(load(dy + start + at, whole), load(gain + at, whole));
      const centred = f32x4.sub(load(x + start + at, whole), means);
      store(
        dx + start + at,
        f32x4.mul(f32x4.sub(f32x4.sub(dn, plainMean), f32x4.mul(centred, alongMean)), scale),
        whole,
      );
      i += whole ? 4 : 1;
    }
  }
}
