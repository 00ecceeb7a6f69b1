/** Half-precision numbers. */
import { KernelsError } from '../kernels-error.js';

/** (−1)^s · 2^(e − 15) · 1.f, or 2^−14 · 0.f; finite ones only. */
export function halfToFloat(half: number): number {
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return half & 0x8000 ? -size : size;
}

/** The half at a byte offset. */
export const halfAt = (bytes: Uint8Array, at: number) => halfToFloat(bytes[at]! | (bytes[at + 1]! << 8));

/** A function to the nearest half-precision number, ties to even. */
export function openHalfRounding(): (value: number) => number {
  const float = new Float32Array(1);
  const word = new Uint32Array(float.buffer);
  return (value) => {
    float[0] = value;
    const bits = word[0]!;
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x477ff000)
      throw new KernelsError(
        'KERNELS_FORMAT_UNSUITABLE',
        'compressWeight',
        `${value} is too large for f16; keep this weight in float32`,
      );
    if (magnitude < 0x38800000) {
      // Subnormal: a multiple of 2⁻²⁴.
      const multiple = Math.abs(value) * 2 ** 24;
      const floor = Math.floor(multiple);
      const rest = multiple - floor;
      return sign | (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor);
    }
    const rebased = magnitude - 0x38000000;
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
  };
}
