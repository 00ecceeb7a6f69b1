/** RMS and layer norm of rows, forward and backward. An RMS norm is a layer norm with mean 0 and no bias. */
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
    const q = inverseDeviation(x + start, 0, columns, epsilon);
    f32.store(inverse + ((<usize>row) << 2), q);
    normalise(x + start, 0, q, gain, 0, y + start, columns, false);
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
    normaliseBackward(dy + start, x + start, 0, q, gain, dx + start, columns, false);
  }
}

/** y = n g + b, n = (x − mean) q, q = 1/√(variance + ε); writes the mean and q of each row to `statistics`. */
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
    const mean = meanOf(x + start, columns);
    const q = inverseDeviation(x + start, mean, columns, epsilon);
    f32.store(statistics + ((<usize>row) << 3), mean);
    f32.store(statistics + ((<usize>row) << 3) + 4, q);
    normalise(x + start, mean, q, gain, bias, y + start, columns, true);
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
    normaliseBackward(dy + start, x + start, mean, q, gain, dx + start, columns, true);
  }
}

@inline
function meanOf(x: usize, columns: i32): f32 {
  let lanes = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= columns; i += 4) lanes = f32x4.add(lanes, v128.load(x + ((<usize>i) << 2)));
  let total = sum(lanes);
  for (; i < columns; i++) total += f32.load(x + ((<usize>i) << 2));
  return total / <f32>columns;
}

/** 1/√(mean (x − mean)² + ε) */
@inline
function inverseDeviation(x: usize, mean: f32, columns: i32, epsilon: f32): f32 {
  const means = f32x4.splat(mean);
  let lanes = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= columns; i += 4) {
    const c = f32x4.sub(v128.load(x + ((<usize>i) << 2)), means);
    lanes = f32x4.add(lanes, f32x4.mul(c, c));
  }
  let squares = sum(lanes);
  for (; i < columns; i++) {
    const c = f32.load(x + ((<usize>i) << 2)) - mean;
    squares += c * c;
  }
  return 1 / sqrt<f32>(squares / <f32>columns + epsilon);
}

/** y = (x − mean) q g, plus the bias if `layer` */
@inline
function normalise(
  x: usize,
  mean: f32,
  q: f32,
  gain: usize,
  bias: usize,
  y: usize,
  columns: i32,
  layer: bool,
): void {
  const means = f32x4.splat(mean);
  const scale = f32x4.splat(q);
  for (let i = 0; i < columns; ) {
    const whole = i + 4 <= columns;
    const at = (<usize>i) << 2;
    const n = f32x4.mul(f32x4.sub(load(x + at, whole), means), scale);
    const scaled = f32x4.mul(n, load(gain + at, whole));
    store(y + at, layer ? f32x4.add(scaled, load(bias + at, whole)) : scaled, whole);
    i += whole ? 4 : 1;
  }
}

/** The gradient of {@link normalise}; if `layer`, the mean depends on x too. */
@inline
function normaliseBackward(
  dy: usize,
  x: usize,
  mean: f32,
  q: f32,
  gain: usize,
  dx: usize,
  columns: i32,
  layer: bool,
): void {
  const means = f32x4.splat(mean);
  let plain = f32x4.splat(0);
  let along = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= columns; i += 4) {
    const at = (<usize>i) << 2;
    const dn = f32x4.mul(v128.load(dy + at), v128.load(gain + at));
    if (layer) plain = f32x4.add(plain, dn);
    along = f32x4.add(along, f32x4.mul(dn, f32x4.sub(v128.load(x + at), means)));
  }
  let plainSum = sum(plain);
  let alongSum = sum(along);
  for (; i < columns; i++) {
    const at = (<usize>i) << 2;
    const dn = f32.load(dy + at) * f32.load(gain + at);
    plainSum += dn;
    alongSum += dn * (f32.load(x + at) - mean);
  }
  const plainMean = f32x4.splat(plainSum / <f32>columns);
  const alongMean = f32x4.splat(((alongSum * q) / <f32>columns) * q);
  const scale = f32x4.splat(q);
  for (i = 0; i < columns; ) {
    const whole = i + 4 <= columns;
    const at = (<usize>i) << 2;
    let dn = f32x4.mul(load(dy + at, whole), load(gain + at, whole));
    if (layer) dn = f32x4.sub(dn, plainMean);
    const centred = f32x4.sub(load(x + at, whole), means);
    store(dx + at, f32x4.mul(f32x4.sub(dn, f32x4.mul(centred, alongMean)), scale), whole);
    i += whole ? 4 : 1;
  }
}
