/** Tables of rotary embeddings. */
import type { RotaryTable } from '@contextlora/kernels';

import { rotaryFrequencies, type RotaryScaling } from '../spec/rotary-scaling.js';

/** cos and sin of t / theta^(2i/d) for every position t and pair i, with the frequencies stretched by `scaling`. */
export function rotaryTable(
  theta: number,
  headDim: number,
  time: number,
  scaling?: RotaryScaling,
): RotaryTable {
  const halfDim = headDim / 2;
  const { frequencies, amplitude } = rotaryFrequencies(theta, headDim, scaling);
  const angle = (i: number) => Math.fround(Math.floor(i / halfDim) * (frequencies[i % halfDim] ?? 0));
  const length = time * halfDim;
  return {
    time,
    halfDim,
    cos: Float32Array.from({ length }, (_, i) => amplitude * Math.cos(angle(i))),
    sin: Float32Array.from({ length }, (_, i) => amplitude * Math.sin(angle(i))),
  };
}
