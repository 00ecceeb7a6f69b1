/** Products with a few rows of x, as in decoding: they read every weight once instead of packing it first. */

/** Up to this many rows; with more, a general matrix product is faster. */
export const fewRows = 4;

/** Adds a bias to every row. */
export function addBias(rows: Float32Array, bias: Float32Array): void {
  for (let i = 0; i < rows.length; i++) rows[i]! += bias[i % bias.length]!;
}
