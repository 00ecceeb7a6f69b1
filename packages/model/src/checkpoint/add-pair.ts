/** Merges a LoRA pair into a matrix. */

export interface Pair {
  readonly rank: number;
  readonly scale: number;
  /** `[rows, rank]` */
  readonly left: Float32Array;
  /** `[rank, columns]` */
  readonly right: Float32Array;
}

/** Adds scale · left right to the matrix `[rows, columns]` in place. */
export function addPair(
  values: Float32Array,
  [rows = 0, columns = 0]: readonly number[],
  { rank, scale, left, right }: Pair,
): void {
  for (let row = 0; row < rows; row++)
    for (let r = 0; r < rank; r++) {
      const factor = scale * (left[row * rank + r] ?? 0);
      for (let column = 0; column < columns; column++)
        values[row * columns + column] =
          (values[row * columns + column] ?? 0) + factor * (right[r * columns + column] ?? 0);
    }
}
