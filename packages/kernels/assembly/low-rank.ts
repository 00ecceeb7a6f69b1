/** Products with one thin side, as in LoRA: each reads its large operand once and packs nothing. */
import { load, store, sum } from './vector-math';

/** out[m, r] = α · x[m, k] · a[r, k]ᵀ */
export function projectRows(x: usize, a: usize, out: usize, m: i32, k: i32, r: i32, alpha: f32): void {
  const rowBytes = (<usize>k) << 2;
  const outBytes = (<usize>r) << 2;
  let row = 0;
  for (; row + 4 <= m; row += 4) {
    const from = x + (<usize>row) * rowBytes;
    const to = out + (<usize>row) * outBytes;
    let rank = 0;
    for (; rank + 2 <= r; rank += 2) dots(from, rowBytes, a + (<usize>rank) * rowBytes, k, to + ((<usize>rank) << 2), outBytes, alpha);
    if (rank < r)
      for (let y = 0; y < 4; y++)
        f32.store(
          to + (<usize>y) * outBytes + ((<usize>rank) << 2),
          alpha * dot(from + (<usize>y) * rowBytes, a + (<usize>rank) * rowBytes, k),
        );
  }
  for (; row < m; row++)
    for (let rank = 0; rank < r; rank++)
      f32.store(
        out + (<usize>row) * outBytes + ((<usize>rank) << 2),
        alpha * dot(x + (<usize>row) * rowBytes, a + (<usize>rank) * rowBytes, k),
      );
}

function dot(x: usize, y: usize, size: i32): f32 {
  let lanes = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= size; i += 4) {
    const at = (<usize>i) << 2;
    lanes = f32x4.add(lanes, f32x4.mul(v128.load(x + at), v128.load(y + at)));
  }
  let total = sum(lanes);
  for (; i < size; i++) {
    const at = (<usize>i) << 2;
    total += f32.load(x + at) * f32.load(y + at);
  }
  return total;
}

/** Four rows times two: eight inner products, summed in the same order as by `dot`. */
function dots(x: usize, rowBytes: usize, a: usize, k: i32, out: usize, outBytes: usize, alpha: f32): void {
  let s00 = f32x4.splat(0);
  let s01 = f32x4.splat(0);
  let s10 = f32x4.splat(0);
  let s11 = f32x4.splat(0);
  let s20 = f32x4.splat(0);
  let s21 = f32x4.splat(0);
  let s30 = f32x4.splat(0);
  let s31 = f32x4.splat(0);
  const x1 = x + rowBytes;
  const x2 = x1 + rowBytes;
  const x3 = x2 + rowBytes;
  const a1 = a + rowBytes;
  const end = (<usize>(k & ~3)) << 2;
  for (let at: usize = 0; at < end; at += 16) {
    const p = v128.load(a + at);
    const q = v128.load(a1 + at);
    let v = v128.load(x + at);
    s00 = f32x4.add(s00, f32x4.mul(v, p));
    s01 = f32x4.add(s01, f32x4.mul(v, q));
    v = v128.load(x1 + at);
    s10 = f32x4.add(s10, f32x4.mul(v, p));
    s11 = f32x4.add(s11, f32x4.mul(v, q));
    v = v128.load(x2 + at);
    s20 = f32x4.add(s20, f32x4.mul(v, p));
    s21 = f32x4.add(s21, f32x4.mul(v, q));
    v = v128.load(x3 + at);
    s30 = f32x4.add(s30, f32x4.mul(v, p));
    s31 = f32x4.add(s31, f32x4.mul(v, q));
  }
  finish(x, a, a1, end, rowBytes, s00, s01, out, alpha);
  finish(x1, a, a1, end, rowBytes, s10, s11, out + outBytes, alpha);
  finish(x2, a, a1, end, rowBytes, s20, s21, out + outBytes * 2, alpha);
  finish(x3, a, a1, end, rowBytes, s30, s31, out + outBytes * 3, alpha);
}

@inline
function finish(x: usize, a: usize, a1: usize, from: usize, to: usize, s0: v128, s1: v128, out: usize, alpha: f32): void {
  let first = sum(s0);
  let second = sum(s1);
  for (let at = from; at < to; at += 4) {
    first += f32.load(x + at) * f32.load(a + at);
    second += f32.load(x + at) * f32.load(a1 + at);
  }
  f32.store(out, alpha * first);
  f32.store(out, alpha * second, 4);
}

/** y[m, n] += h[m, r] · b[r, n] */
export function addExpanded(h: usize, b: usize, y: usize, m: i32, n: i32, r: i32): void {
  const rowBytes = (<usize>n) << 2;
  const hBytes = (<usize>r) << 2;
  let row = 0;
  for (; row + 4 <= m; row += 4) {
    const h0 = h + (<usize>row) * hBytes;
    const h1 = h0 + hBytes;
    const h2 = h1 + hBytes;
    const h3 = h2 + hBytes;
    const y0 = y + (<usize>row) * rowBytes;
    let i = 0;
    for (; i + 8 <= n; i += 8) {
      const to = y0 + ((<usize>i) << 2);
      let c00 = v128.load(to);
      let c01 = v128.load(to, 16);
      let c10 = v128.load(to + rowBytes);
      let c11 = v128.load(to + rowBytes, 16);
      let c20 = v128.load(to + rowBytes * 2);
      let c21 = v128.load(to + rowBytes * 2, 16);
      let c30 = v128.load(to + rowBytes * 3);
      let c31 = v128.load(to + rowBytes * 3, 16);
      let from = b + ((<usize>i) << 2);
      for (let rank: usize = 0; rank < hBytes; rank += 4) {
        const p = v128.load(from);
        const q = v128.load(from, 16);
        let v = v128.load32_splat(h0 + rank);
        c00 = f32x4.add(c00, f32x4.mul(v, p));
        c01 = f32x4.add(c01, f32x4.mul(v, q));
        v = v128.load32_splat(h1 + rank);
        c10 = f32x4.add(c10, f32x4.mul(v, p));
        c11 = f32x4.add(c11, f32x4.mul(v, q));
        v = v128.load32_splat(h2 + rank);
        c20 = f32x4.add(c20, f32x4.mul(v, p));
        c21 = f32x4.add(c21, f32x4.mul(v, q));
        v = v128.load32_splat(h3 + rank);
        c30 = f32x4.add(c30, f32x4.mul(v, p));
        c31 = f32x4.add(c31, f32x4.mul(v, q));
        from += rowBytes;
      }
      v128.store(to, c00);
      v128.store(to, c01, 16);
      v128.store(to + rowBytes, c10);
      v128.store(to + rowBytes, c11, 16);
      v128.store(to + rowBytes * 2, c20);
      v128.store(to + rowBytes * 2, c21, 16);
      v128.store(to + rowBytes * 3, c30);
      v128.store(to + rowBytes * 3, c31, 16);
    }
    for (let rest = 0; rest < 4; rest++) expandRow(h0 + (<usize>rest) * hBytes, b, y0 + (<usize>rest) * rowBytes, i, n, r);
  }
  for (; row < m; row++) expandRow(h + (<usize>row) * hBytes, b, y + (<usize>row) * rowBytes, 0, n, r);
}

/** One row of {@link addExpanded} from column `i` on. */
function expandRow(h: usize, b: usize, y: usize, i: i32, n: i32, r: i32): void {
  const rowBytes = (<usize>n) << 2;
  while (i < n) {
    const whole = i + 4 <= n;
    const at = (<usize>i) << 2;
    let c = load(y + at, whole);
    for (let rank = 0; rank < r; rank++)
      c = f32x4.add(c, f32x4.mul(v128.load32_splat(h + ((<usize>rank) << 2)), load(b + (<usize>rank) * rowBytes + at, whole)));
    store(y + at, c, whole);
    i += whole ? 4 : 1;
  }
}

/** Rows of x that stay in the first-level cache while every rank passes over them. */
const outerBlock: i32 = 64;

/** out[r, k] = h[m, r]ᵀ · x[m, k] */
export function outerProducts(h: usize, x: usize, out: usize, m: i32, k: i32, r: i32): void {
  const rowBytes = (<usize>k) << 2;
  const hBytes = (<usize>r) << 2;
  memory.fill(out, 0, (<usize>r) * rowBytes);
  for (let first = 0; first < m; first += outerBlock) {
    const rows = min(outerBlock, m - first);
    const weights = h + (<usize>first) * hBytes;
    const block = x + (<usize>first) * rowBytes;
    let i = 0;
    for (; i + 16 <= k; i += 16) {
      const at = (<usize>i) << 2;
      let rank = 0;
      for (; rank + 2 <= r; rank += 2)
        outerTile(weights + ((<usize>rank) << 2), hBytes, block + at, out + (<usize>rank) * rowBytes + at, rowBytes, rows);
      if (rank < r) outerColumns(weights, block, out, rows, k, r, rank, i, i + 16);
    }
    for (let rank = 0; rank < r; rank++) outerColumns(weights, block, out, rows, k, r, rank, i, k);
  }
}

/** Adds to two rows of sixteen results. */
function outerTile(h: usize, hBytes: usize, x: usize, out: usize, rowBytes: usize, rows: i32): void {
  let s00 = v128.load(out);
  let s01 = v128.load(out, 16);
  let s02 = v128.load(out, 32);
  let s03 = v128.load(out, 48);
  let s10 = v128.load(out + rowBytes);
  let s11 = v128.load(out + rowBytes, 16);
  let s12 = v128.load(out + rowBytes, 32);
  let s13 = v128.load(out + rowBytes, 48);
  for (let row = 0; row < rows; row++) {
    const p = v128.load32_splat(h);
    const q = v128.load32_splat(h, 4);
    let v = v128.load(x);
    s00 = f32x4.add(s00, f32x4.mul(v, p));
    s10 = f32x4.add(s10, f32x4.mul(v, q));
    v = v128.load(x, 16);
    s01 = f32x4.add(s01, f32x4.mul(v, p));
    s11 = f32x4.add(s11, f32x4.mul(v, q));
    v = v128.load(x, 32);
    s02 = f32x4.add(s02, f32x4.mul(v, p));
    s12 = f32x4.add(s12, f32x4.mul(v, q));
    v = v128.load(x, 48);
    s03 = f32x4.add(s03, f32x4.mul(v, p));
    s13 = f32x4.add(s13, f32x4.mul(v, q));
    x += rowBytes;
    h += hBytes;
  }
  v128.store(out, s00);
  v128.store(out, s01, 16);
  v128.store(out, s02, 32);
  v128.store(out, s03, 48);
  v128.store(out + rowBytes, s10);
  v128.store(out + rowBytes, s11, 16);
  v128.store(out + rowBytes, s12, 32);
  v128.store(out + rowBytes, s13, 48);
}

/** Adds to columns `i` to `end` of one row of {@link outerProducts}. */
function outerColumns(h: usize, x: usize, out: usize, m: i32, k: i32, r: i32, rank: i32, i: i32, end: i32): void {
  while (i < end) {
    const whole = i + 4 <= end;
    const to = out + (((<usize>rank) * k + i) << 2);
    let lanes = load(to, whole);
    for (let row = 0; row < m; row++)
      lanes = f32x4.add(
        lanes,
        f32x4.mul(
          v128.load32_splat(h + ((<usize>(row * r + rank)) << 2)),
          load(x + (((<usize>row) * k + i) << 2), whole),
        ),
      );
    store(to, lanes, whole);
    i += whole ? 4 : 1;
  }
}

/** out[columns, rows] = x[rows, columns]ᵀ, for small matrices. */
export function transpose(x: usize, out: usize, rows: i32, columns: i32): void {
  for (let column = 0; column < columns; column++)
    for (let row = 0; row < rows; row++)
      f32.store(out + (((<usize>column) * rows + row) << 2), f32.load(x + (((<usize>row) * columns + column) << 2)));
}
