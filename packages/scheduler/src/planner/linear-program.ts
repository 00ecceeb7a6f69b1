/** Linear programs in small numbers, by the simplex method on a dense tableau (Dantzig, 1951). */

/**
 * Maximises Σ gain · x over x ≥ 0 with every row Σ coefficient · x ≤ its limit, where all limits are 0 or more.
 *
 * Limits of 0 are moved by very little, so that the method does not circle: x may break a row by as much. The answer is x; where the pivots
 * run out, the best x so far.
 */
export function maximise(
  gains: readonly number[],
  rows: readonly (readonly number[])[],
  rowLimits: readonly number[],
  pivots: number,
): number[] {
  const width = gains.length + 1;
  const table = rows.map((row, index) =>
    Float64Array.of(...row, Math.max(rowLimits[index]!, 1e-9 * (1 + index / rows.length))),
  );
  const goal = Float64Array.of(...gains, 0);
  // What stands at each row and column: a variable, or the slack of a row.
  const atRow = rows.map((_, index) => gains.length + index);
  const atColumn = gains.map((_, index) => index);
  for (let pivot = 0; pivot < pivots; pivot++) {
    let column = -1;
    for (let c = 0; c < width - 1; c++)
      if (goal[c]! > 1e-12 && (column < 0 || goal[c]! > goal[column]!)) column = c;
    if (column < 0) break;
    let row = -1;
    let least = Infinity;
    for (const [r, of] of table.entries()) {
      if (of[column]! <= 1e-12) continue;
      const ratio = of[width - 1]! / of[column]!;
      if (ratio < least) [least, row] = [ratio, r];
    }
    if (row < 0) break;
    const leaving = table[row]!;
    const by = leaving[column]!;
    leaving[column] = 1;
    for (let c = 0; c < width; c++) leaving[c]! /= by;
    for (const of of [...table, goal]) {
      const factor = of === leaving ? 0 : of[column]!;
      if (factor === 0) continue;
      of[column] = 0;
      for (let c = 0; c < width; c++) of[c]! -= factor * leaving[c]!;
    }
    [atRow[row], atColumn[column]] = [atColumn[column]!, atRow[row]!];
  }
  const x = gains.map(() => 0);
  for (const [row, variable] of atRow.entries())
    if (variable < x.length) x[variable] = Math.max(0, table[row]![width - 1]!);
  return x;
}
