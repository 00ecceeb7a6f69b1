/**
 * The rotation that spreads the outliers of an activation over many values: normalised Walsh–Hadamard transforms (QuaRot, arXiv
 * 2404.00456) of blocks of 64, and of what is left of a row in smaller powers of two. It is its own inverse.
 */
const largestBlock = 64;

/** The sizes of a row's blocks. */
export function rotationBlocks(length: number): number[] {
  const blocks = new Array<number>(Math.floor(length / largestBlock)).fill(largestBlock);
  for (let rest = length % largestBlock; rest > 0; rest -= blocks.at(-1)!)
    blocks.push(2 ** Math.floor(Math.log2(rest)));
  return blocks;
}

/** Rotates a row in place; the wasm module does the same in the same order. */
export function rotateRow(row: Float32Array): void {
  let start = 0;
  for (const size of rotationBlocks(row.length)) {
    const end = start + size;
    for (let half = size / 2; half >= 1; half /= 2)
      for (let block = start; block < end; block += 2 * half)
        for (let low = block; low < block + half; low++) {
          const [p, q] = [row[low]!, row[low + half]!];
          row[low] = p + q;
          row[low + half] = p - q;
        }
    const scale = Math.fround(1 / Math.sqrt(size));
    for (let i = start; i < end; i++) row[i]! *= scale;
    start = end;
  }
}
