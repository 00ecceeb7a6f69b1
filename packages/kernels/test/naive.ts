/** The definition of each operation as loops in float64, and finite differences of them. */

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

export const matrix = (
  rows: number,
  columns: number,
  at: (row: number, column: number) => number,
): Matrix => ({
  rows,
  columns,
  values: Float64Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns)),
});

export const at = ({ columns, values }: Matrix, row: number, column: number): number =>
  values[row * columns + column] ?? NaN;

const sum = (count: number, term: (i: number) => number) => {
  let total = 0;
  for (let i = 0; i < count; i++) total += term(i);
  return total;
};

export interface NaiveSegment {
  readonly a: Matrix;
  readonly b: Matrix;
  readonly scale: number;
}

export const naiveLinear = (
  x: Matrix,
  w: Matrix,
  bias: Float64Array | undefined,
  segments: readonly NaiveSegment[],
) =>
  matrix(
    x.rows,
    w.rows,
    (row, out) =>
      sum(x.columns, (i) => at(x, row, i) * at(w, out, i)) +
      (bias?.[out] ?? 0) +
      sum(segments.length, (t) => {
        const { a, b, scale } = segments[t]!;
        return scale * sum(a.rows, (r) => at(b, out, r) * sum(x.columns, (i) => at(a, r, i) * at(x, row, i)));
      }),
  );

export const naiveRmsNorm = (x: Matrix, gain: Float64Array, epsilon: number) =>
  matrix(x.rows, x.columns, (row, column) => {
    const mean = sum(x.columns, (i) => at(x, row, i) ** 2) / x.columns;
    return (at(x, row, column) / Math.sqrt(mean + epsilon)) * (gain[column] ?? NaN);
  });

export const naiveLayerNorm = (x: Matrix, gain: Float64Array, bias: Float64Array, epsilon: number) =>
  matrix(x.rows, x.columns, (row, column) => {
    const mean = sum(x.columns, (i) => at(x, row, i)) / x.columns;
    const variance = sum(x.columns, (i) => (at(x, row, i) - mean) ** 2) / x.columns;
    return (
      ((at(x, row, column) - mean) / Math.sqrt(variance + epsilon)) * (gain[column] ?? NaN) +
      (bias[column] ?? NaN)
    );
  });

export const naiveRotary = (
  x: Matrix,
  { time, headDim, offset, theta }: { time: number; headDim: number; offset: number; theta: number },
) =>
  matrix(x.rows, x.columns, (row, column) => {
    const half = headDim / 2;
    const inHead = column % headDim;
    const pair = inHead % half;
    const angle = (offset + (row % time)) / theta ** (pair / half);
    const left = at(x, row, column - inHead + pair);
    const right = at(x, row, column - inHead + pair + half);
    return inHead < half
      ? left * Math.cos(angle) - right * Math.sin(angle)
      : right * Math.cos(angle) + left * Math.sin(angle);
  });

export interface NaiveAttentionShape {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly causal: boolean;
  readonly firstKeys?: readonly number[];
}

export const naiveAttention = (q: Matrix, k: Matrix, v: Matrix, shape: NaiveAttentionShape) => {
  const { batch, time, heads, kvHeads, headDim, causal, firstKeys } = shape;
  const y = matrix(batch * time, heads * headDim, () => 0);
  for (let item = 0; item < batch; item++)
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor((head * kvHeads) / heads);
      for (let query = 0; query < time; query++) {
        const keys = Array.from({ length: time }, (_, key) => key).filter(
          (key) => (!causal || key <= query) && key >= (firstKeys?.[item] ?? 0),
        );
        const scores = keys.map(
          (key) =>
            sum(
              headDim,
              (i) =>
                at(q, item * time + query, head * headDim + i) * at(k, item * time + key, kv * headDim + i),
            ) / Math.sqrt(headDim),
        );
        const highest = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - highest));
        const total = weights.reduce((s, w) => s + w, 0);
        for (let i = 0; i < headDim; i++)
          y.values[(item * time + query) * heads * headDim + head * headDim + i] = sum(
            keys.length,
            (n) => ((weights[n] ?? 0) / total) * at(v, item * time + (keys[n] ?? 0), kv * headDim + i),
          );
      }
    }
  return y;
};

export const elementwise = (x: Matrix, f: (value: number, index: number) => number): Matrix => ({
  ...x,
  values: x.values.map(f),
});

/** The series of erf, which converges fast for |x| < 6; the formula of Abramowitz and Stegun is too coarse here. */
export function erf(x: number): number {
  if (Math.abs(x) > 5) return Math.sign(x);
  let term = x;
  let total = x;
  for (let n = 1; n < 200; n++) {
    term *= -(x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

/** Gradient of Σ y∘dy with respect to a matrix that `f` reads, by central differences. */
export function numericGradient(of: Matrix, dy: Matrix, f: () => Matrix): Matrix {
  const step = 1e-5;
  const inner = () => sum(dy.values.length, (i) => (f().values[i] ?? NaN) * (dy.values[i] ?? NaN));
  const values = of.values.map((original, i) => {
    of.values[i] = original + step;
    const above = inner();
    of.values[i] = original - step;
    const below = inner();
    of.values[i] = original;
    return (above - below) / (2 * step);
  });
  return { ...of, values };
}
