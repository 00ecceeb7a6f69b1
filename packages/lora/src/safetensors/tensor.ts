/** An array of numbers as files hold it: type, shape and bytes. */
import { LoraError } from '../lora-error.js';

/** The types of the format; those from U64 on can stand in a file, but their values are not read. */
export type Dtype =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U8'
  | 'BOOL'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'C64'
  | 'F8_E4M3'
  | 'F8_E5M2'
  | 'F8_E8M0'
  | 'F8_E4M3FNUZ'
  | 'F8_E5M2FNUZ'
  | 'F6_E2M3'
  | 'F6_E3M2'
  | 'F4';

export const bytesPerElement: Readonly<Record<Dtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  C64: 8,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  F8_E4M3FNUZ: 1,
  F8_E5M2FNUZ: 1,
  F6_E2M3: 0.75,
  F6_E3M2: 0.75,
  F4: 0.5,
};

export interface FileTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Little-endian, row-major. */
  readonly bytes: Uint8Array;
}

/** A float32 tensor that shares the memory of the values. */
export function float32Tensor(shape: readonly number[], values: Float32Array): FileTensor {
  return { dtype: 'F32', shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/**
 * The values of a floating-point tensor as float32.
 *
 * @throws LoraError (`LORA_TENSOR_UNUSABLE`) for a tensor of another type.
 */
export function toFloat32({ dtype, bytes }: FileTensor): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (dtype) {
    case 'F32':
      // A copy by the constructor: `slice` of a Buffer would share the whole pool behind it.
      return new Float32Array(new Uint8Array(bytes).buffer);
    case 'F16':
      return Float32Array.from({ length: bytes.length / 2 }, (_, i) =>
        halfToFloat(view.getUint16(2 * i, true)),
      );
    case 'BF16': {
      const words = new Uint32Array(bytes.length / 2);
      for (let i = 0; i < words.length; i++) words[i] = view.getUint16(2 * i, true) << 16;
      return new Float32Array(words.buffer);
    }
    case 'F64':
      return Float32Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
    default:
      throw new LoraError(
        'LORA_TENSOR_UNUSABLE',
        'toFloat32',
        `a tensor of type ${dtype} is not read as floating-point numbers; F64, F32, F16 and BF16 are`,
      );
  }
}

/**
 * A floating-point tensor of these values, rounded to the nearest, to even where two are as near.
 *
 * @throws LoraError (`LORA_TENSOR_UNUSABLE`) for a type other than F32, F16 and BF16.
 */
export function fromFloat32(dtype: Dtype, shape: readonly number[], values: Float32Array): FileTensor {
  if (dtype === 'F32') return float32Tensor(shape, values);
  if (dtype !== 'F16' && dtype !== 'BF16')
    throw new LoraError(
      'LORA_TENSOR_UNUSABLE',
      'fromFloat32',
      `numbers are not written as ${dtype}; F32, F16 and BF16 are`,
    );
  const words = new Uint16Array(values.length);
  const round = dtype === 'F16' ? toHalf : toBrain;
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) words[i] = round(bits[i]!);
  return { dtype, shape, bytes: new Uint8Array(words.buffer) };
}

/** The bits of a float32 → those of a bfloat16. */
function toBrain(bits: number): number {
  // A NaN whose upper half is all zero would become infinite.
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The bits of a float32 → those of an IEEE 754 binary16. */
function toHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // From 65520 on, the nearest is infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Subnormal: whole multiples of 2⁻²⁴.
  if (magnitude < 0x38800000) {
    const exponent = magnitude >>> 23;
    if (exponent < 102) return sign;
    return sign | roundedShift((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
  }
  return sign | (roundedShift(magnitude, 13) - (112 << 10));
}

/** value / 2^bits, to the nearest, to even where two are as near. */
function roundedShift(value: number, bits: number): number {
  const [whole, rest, half] = [Math.floor(value / 2 ** bits), value % 2 ** bits, 2 ** (bits - 1)];
  return rest > half || (rest === half && whole % 2 === 1) ? whole + 1 : whole;
}

/**
 * The values of an integer tensor; I64 beyond 2⁵³ loses digits.
 *
 * @throws LoraError (`LORA_TENSOR_UNUSABLE`) for a floating-point tensor.
 */
export function toIntegers({ dtype, bytes }: FileTensor): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length / bytesPerElement[dtype];
  const read = {
    I64: (i: number) => Number(view.getBigInt64(8 * i, true)),
    I32: (i: number) => view.getInt32(4 * i, true),
    I16: (i: number) => view.getInt16(2 * i, true),
    I8: (i: number) => view.getInt8(i),
    U8: (i: number) => view.getUint8(i),
    BOOL: (i: number) => view.getUint8(i),
  };
  if (!(dtype in read))
    throw new LoraError('LORA_TENSOR_UNUSABLE', 'toIntegers', `a tensor of type ${dtype} holds no integers`);
  return Array.from({ length: count }, (_, i) => read[dtype as keyof typeof read](i));
}

/** IEEE 754 binary16 → binary32, exact: (−1)^s · 2^(e − 15) · 1.f, or 2^−14 · 0.f, or NaN and infinity. */
export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
