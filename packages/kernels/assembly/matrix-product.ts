/**
 * C = α·op(A)·op(B) (+ C). Both operands are packed into panels that stay in the processor's cache, so a transpose costs only its packing.
 *
 * A tile of 4 × 8 results stays in registers (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008).
 */

const depthBlock: i32 = 256;
const rowBlock: i32 = 96;
const columnBlock: i32 = 512;

/** Bytes of scratch that {@link matrixProduct} needs. */
export function productScratchBytes(): i32 {
  return (depthBlock * (rowBlock + columnBlock) + 48) << 2;
}

/** A is `[m, k]` or `[k, m]` (transposed), B `[k, n]` or `[n, k]`, C `[m, n]`, all row-major; with `add` 1 the product is added to C. */
export function matrixProduct(
  a: usize,
  b: usize,
  c: usize,
  m: i32,
  n: i32,
  k: i32,
  transposeA: i32,
  transposeB: i32,
  alpha: f32,
  add: i32,
  scratch: usize,
): void {
  const packedA = scratch;
  const packedB = packedA + ((<usize>(depthBlock * rowBlock)) << 2);
  const tile = packedB + ((<usize>(depthBlock * columnBlock)) << 2);
  for (let depth = 0; depth < k; depth += depthBlock) {
    const depths = min(depthBlock, k - depth);
    const adds: bool = add != 0 || depth > 0;
    for (let column = 0; column < n; column += columnBlock) {
      const columns = min(columnBlock, n - column);
      packB(b, packedB, n, k, depth, depths, column, columns, transposeB);
      for (let row = 0; row < m; row += rowBlock) {
        const rows = min(rowBlock, m - row);
        packA(a, packedA, m, k, depth, depths, row, rows, transposeA, alpha);
        for (let j = 0; j < columns; j += 8) {
          const panelB = packedB + ((<usize>(j * depths)) << 2);
          const wide = columns - j >= 8;
          for (let i = 0; i < rows; i += 4) {
            const panelA = packedA + ((<usize>(i * depths)) << 2);
            const at = c + (((<usize>(row + i)) * n + column + j) << 2);
            if (wide && rows - i >= 4) multiplyTile(panelA, panelB, at, (<usize>n) << 2, depths, adds);
            else {
              multiplyTile(panelA, panelB, tile, 32, depths, false);
              const tall = min(4, rows - i);
              const across = min(8, columns - j);
              for (let y = 0; y < tall; y++)
                for (let x = 0; x < across; x++) {
                  const to = at + (((<usize>y) * n + x) << 2);
                  const value = f32.load(tile + ((<usize>(y * 8 + x)) << 2));
                  f32.store(to, adds ? f32.load(to) + value : value);
                }
            }
          }
        }
      }
    }
  }
}

/** Packs panels of four rows, depth outermost; missing rows are 0. */
function packA(
  a: usize,
  packed: usize,
  m: i32,
  k: i32,
  depth: i32,
  depths: i32,
  row: i32,
  rows: i32,
  transposed: i32,
  alpha: f32,
): void {
  const rowStep: usize = transposed ? 4 : (<usize>k) << 2;
  const depthStep: usize = transposed ? (<usize>m) << 2 : 4;
  const origin = a + (<usize>row) * rowStep + (<usize>depth) * depthStep;
  for (let i = 0; i < rows; i += 4) {
    const tall = min(4, rows - i);
    for (let y = 0; y < 4; y++) {
      let to = packed + ((<usize>y) << 2);
      let from = origin + (<usize>(i + y)) * rowStep;
      for (let p = 0; p < depths; p++) {
        f32.store(to, y < tall ? f32.load(from) * alpha : 0);
        from += depthStep;
        to += 16;
      }
    }
    packed += (<usize>depths) * 16;
  }
}

/** Packs panels of eight columns, depth outermost; missing columns are 0. */
function packB(
  b: usize,
  packed: usize,
  n: i32,
  k: i32,
  depth: i32,
  depths: i32,
  column: i32,
  columns: i32,
  transposed: i32,
): void {
  const columnStep: usize = transposed ? (<usize>k) << 2 : 4;
  const depthStep: usize = transposed ? 4 : (<usize>n) << 2;
  const origin = b + (<usize>column) * columnStep + (<usize>depth) * depthStep;
  for (let j = 0; j < columns; j += 8) {
    const across = min(8, columns - j);
    let from = origin + (<usize>j) * columnStep;
    if (across == 8 && !transposed) {
      for (let p = 0; p < depths; p++) {
        v128.store(packed, v128.load(from));
        v128.store(packed, v128.load(from, 16), 16);
        packed += 32;
        from += depthStep;
      }
    } else if (across == 8 && !(depths & 3)) {
      for (let p = 0; p < depths; p += 4) {
        transpose4(from, columnStep, packed);
        transpose4(from + columnStep * 4, columnStep, packed + 16);
        packed += 128;
        from += 16;
      }
    } else {
      for (let p = 0; p < depths; p++) {
        for (let x = 0; x < 8; x++)
          f32.store(packed + ((<usize>x) << 2), x < across ? f32.load(from + (<usize>x) * columnStep) : 0);
        packed += 32;
        from += depthStep;
      }
    }
  }
}

/** Transposes four rows of four, `step` bytes apart, into rows 32 bytes apart. */
@inline
function transpose4(from: usize, step: usize, to: usize): void {
  const r0 = v128.load(from);
  const r1 = v128.load(from + step);
  const r2 = v128.load(from + step * 2);
  const r3 = v128.load(from + step * 3);
  const a = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const b = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const c = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const d = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(a, b, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(a, b, 2, 3, 6, 7), 32);
  v128.store(to, v128.shuffle<f32>(c, d, 0, 1, 4, 5), 64);
  v128.store(to, v128.shuffle<f32>(c, d, 2, 3, 6, 7), 96);
}

/** 4 × 8 results of `depths` products each, stored in or added to rows `step` bytes apart. */
function multiplyTile(a: usize, b: usize, c: usize, step: usize, depths: i32, adds: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  const end = a + (<usize>depths) * 16;
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(x, b0));
    c01 = f32x4.add(c01, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(x, b0));
    c11 = f32x4.add(c11, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(x, b0));
    c21 = f32x4.add(c21, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(x, b0));
    c31 = f32x4.add(c31, f32x4.mul(x, b1));
    a += 16;
    b += 32;
  }
  put(c, c00, c01, adds);
  put(c + step, c10, c11, adds);
  put(c + step * 2, c20, c21, adds);
  put(c + step * 3, c30, c31, adds);
}

@inline
function put(at: usize, left: v128, right: v128, adds: bool): void {
  v128.store(at, adds ? f32x4.add(v128.load(at), left) : left);
  v128.store(at, adds ? f32x4.add(v128.load(at, 16), right) : right, 16);
}
