/** The table of a model's rotary embeddings. */
import type { RotaryTable } from '@contextlora/kernels';

/** cos and sin of t / theta^(2i/d) for every position t and pair i. */
export function rotaryTable(theta: number, headDim: number, time: number): RotaryTable {
  const halfDim = headDim / 2;
  // The reference computes frequencies in float32; float64 here would differ in the last digits at high positions.
  const frequency = Float32Array.from(
    { length: halfDim },
    (_, i) => 1 / Math.fround(theta ** ((2 * i) / headDim)),
  );
  const angle = (i: number) => Math.fround(Math.floor(i / halfDim) * (frequency[i % halfDim] ?? 0));
  const length = time * halfDim;
  return {
    time,
    halfDim,
    cos: Float32Array.from({ length }, (_, i) => Math.cos(angle(i))),
    sin: Float32Array.from({ length }, (_, i) => Math.sin(angle(i))),
  };
}
