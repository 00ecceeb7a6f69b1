/** Compact weights become float32 a block of rows at a time; layouts of the 4-bit blocks are GGUF's. */

/** Four halves in the low 16 bits of each lane; finite ones only. */
@inline
export function halvesToFloats(h: v128): v128 {
  const magnitude = i32x4.shl(v128.and(h, i32x4.splat(0x7fff)), 13);
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  // Times 2¹¹² moves the exponent's bias from 15 to 127, and makes subnormals normal.
  return v128.or(f32x4.mul(magnitude, f32x4.splat(5192296858534827628530496329220096.0)), sign);
}

@inline
export function half(at: usize): f32 {
  return f32x4.extract_lane(halvesToFloats(i32x4.splat(<i32>load<u16>(at))), 0);
}

export function expandHalf(source: usize, target: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4)
    v128.store(target + ((<usize>i) << 2), halvesToFloats(v128.load_ext<u16>(source + ((<usize>i) << 1))));
  for (; i < count; i++) f32.store(target + ((<usize>i) << 2), half(source + ((<usize>i) << 1)));
}

/** One scale a row. */
export function expandInt8(source: usize, scales: usize, target: usize, rows: i32, columns: i32): void {
  for (let row = 0; row < rows; row++) {
    const scale = f32.load(scales + ((<usize>row) << 2));
    const from = source + (<usize>row) * columns;
    const to = target + (((<usize>row) * columns) << 2);
    let i = 0;
    for (; i + 4 <= columns; i += 4) {
      const wide = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(from + i)));
      v128.store(to + ((<usize>i) << 2), f32x4.mul(f32x4.convert_i32x4_s(wide), f32x4.splat(scale)));
    }
    for (; i < columns; i++) f32.store(to + ((<usize>i) << 2), <f32>load<i8>(from + i) * scale);
  }
}

/** Sixteen 4-bit numbers, one a byte, as scale · q + offset. */
@inline
function storeSixteen(q: v128, scale: v128, offset: v128, to: usize): void {
  const low = i16x8.extend_low_i8x16_u(q);
  const high = i16x8.extend_high_i8x16_u(q);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(low)), scale), offset));
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(low)), scale), offset), 16);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(high)), scale), offset), 32);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(high)), scale), offset), 48);
}

/** Blocks of 32: scale, (minimum,) 16 bytes whose low halves are the first 16 numbers. */
@inline
export function expandBlock32(bytes: usize, scale: f32, offset: f32, to: usize): void {
  const packed = v128.load(bytes);
  storeSixteen(v128.and(packed, i8x16.splat(15)), f32x4.splat(scale), f32x4.splat(offset), to);
  storeSixteen(i8x16.shr_u(packed, 4), f32x4.splat(scale), f32x4.splat(offset), to + 64);
}

/** d · q, q a signed byte */
export function expandQ80(source: usize, target: usize, blocks: i32): void {
  for (let block = 0; block < blocks; block++) {
    const at = source + (<usize>block) * 34;
    const scale = f32x4.splat(half(at));
    for (let i: usize = 0; i < 32; i += 4) {
      const wide = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(at + 2 + i)));
      v128.store(target + ((<usize>block) << 7) + (i << 2), f32x4.mul(f32x4.convert_i32x4_s(wide), scale));
    }
  }
}

/** d · (q − 8) */
export function expandQ40(source: usize, target: usize, blocks: i32): void {
  for (let block = 0; block < blocks; block++) {
    const at = source + (<usize>block) * 18;
    const d = half(at);
    expandBlock32(at + 2, d, -8 * d, target + ((<usize>block) << 7));
  }
}

/** d · q + m */
export function expandQ41(source: usize, target: usize, blocks: i32): void {
  for (let block = 0; block < blocks; block++) {
    const at = source + (<usize>block) * 20;
    expandBlock32(at + 4, half(at), half(at + 2), target + ((<usize>block) << 7));
  }
}

/** Blocks of 256 in eight groups of 32: d · scale · q − dmin · minimum, with scales and minima of 6 bits packed into 12 bytes. */
export function expandQ4K(source: usize, target: usize, blocks: i32): void {
  for (let block = 0; block < blocks; block++) {
    const at = source + (<usize>block) * 144;
    const d = half(at);
    const dmin = half(at + 2);
    const packed = at + 4;
    for (let group = 0; group < 8; group++) {
      let scale: i32;
      let minimum: i32;
      if (group < 4) {
        scale = load<u8>(packed + group) & 63;
        minimum = load<u8>(packed + group + 4) & 63;
      } else {
        const rest = load<u8>(packed + group + 4);
        scale = (rest & 15) | ((load<u8>(packed + group - 4) >> 6) << 4);
        minimum = (rest >> 4) | ((load<u8>(packed + group) >> 6) << 4);
      }
      const scales = f32x4.splat(d * <f32>scale);
      const offsets = f32x4.splat(-dmin * <f32>minimum);
      // Two groups share 32 bytes: the even one their low halves, the odd one their high halves.
      const bytes = at + 16 + ((<usize>(group >> 1)) << 5);
      const to = target + ((((<usize>block) << 8) + (<usize>group << 5)) << 2);
      let first = v128.load(bytes);
      let second = v128.load(bytes, 16);
      if (group & 1) {
        first = i8x16.shr_u(first, 4);
        second = i8x16.shr_u(second, 4);
      } else {
        first = v128.and(first, i8x16.splat(15));
        second = v128.and(second, i8x16.splat(15));
      }
      storeSixteen(first, scales, offsets, to);
      storeSixteen(second, scales, offsets, to + 64);
    }
  }
}
