/** Expands compact weights to float32; the layouts of blocks are those of GGUF. */

/** Four halves, one in the low 16 bits of each lane; finite ones only. */
@inline
export function halvesToFloats(h: v128): v128 {
  const magnitude = i32x4.shl(v128.and(h, i32x4.splat(0x7fff)), 13);
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  // Multiplying by 2¹¹² moves the bias of the exponent from 15 to 127 and makes subnormals normal.
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

/** Stores scale · q + offset for sixteen signed bytes q. */
@inline
function storeSixteen(q: v128, scale: v128, offset: v128, to: usize): void {
  const low = i16x8.extend_low_i8x16_s(q);
  const high = i16x8.extend_high_i8x16_s(q);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), scale), offset));
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), scale), offset), 16);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), scale), offset), 32);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), scale), offset), 48);
}

/** The 32 numbers of 16 bytes, whose low halves are the first 16, as scale · q + offset. */
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

/** 16 in byte i if bit i is set, else 0, for the 16 lowest bits. */
@inline
function fifthBits(bits: i32): v128 {
  const places = i8x16(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const each = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const seen = v128.and(i8x16.swizzle(i32x4.splat(bits), places), each);
  return v128.and(i8x16.eq(seen, each), i8x16.splat(16));
}

/** d · q + m with five bits; the fifth bits of all 32 numbers lie together. */
export function expandQ51(source: usize, target: usize, blocks: i32): void {
  for (let block = 0; block < blocks; block++) {
    const at = source + (<usize>block) * 24;
    const scale = f32x4.splat(half(at));
    const offset = f32x4.splat(half(at + 2));
    const bits = load<i32>(at + 4);
    const packed = v128.load(at + 8);
    const to = target + ((<usize>block) << 7);
    storeSixteen(v128.or(v128.and(packed, i8x16.splat(15)), fifthBits(bits)), scale, offset, to);
    storeSixteen(v128.or(i8x16.shr_u(packed, 4), fifthBits(bits >>> 16)), scale, offset, to + 64);
  }
}

/** d · scale · (q − 32) in sixteen groups of 16: 128 bytes of low four bits, 64 of high two, 16 signed scales, d. */
export function expandQ6K(source: usize, target: usize, blocks: i32): void {
  for (let block = 0; block < blocks; block++) {
    const at = source + (<usize>block) * 210;
    const d = half(at + 208);
    for (let group = 0; group < 16; group++) {
      // Group g lies in half g >> 3, there in quarter (g >> 1) & 3, there in side g & 1.
      const side = group >> 3;
      const quarter = (group >> 1) & 3;
      const place = (group & 1) << 4;
      const packed = v128.load(at + (side << 6) + ((quarter & 1) << 5) + place);
      const low = quarter & 2 ? i8x16.shr_u(packed, 4) : v128.and(packed, i8x16.splat(15));
      const high = v128.and(i8x16.shr_u(v128.load(at + 128 + (side << 5) + place), quarter << 1), i8x16.splat(3));
      storeSixteen(
        i8x16.sub(v128.or(low, i8x16.shl(high, 4)), i8x16.splat(32)),
        f32x4.splat(d * <f32>load<i8>(at + 192 + group)),
        f32x4.splat(0),
        target + ((((<usize>block) << 8) + ((<usize>group) << 4)) << 2),
      );
    }
  }
}

/** {@link expandBlocks256} with four bits, in blocks of 144 bytes. */
export function expandQ4K(source: usize, target: usize, blocks: i32): void {
  expandBlocks256(source, target, blocks, 0);
}

/** {@link expandBlocks256} with a fifth bit, in blocks of 176 bytes. */
export function expandQ5K(source: usize, target: usize, blocks: i32): void {
  expandBlocks256(source, target, blocks, 32);
}

/**
 * Blocks of 256 in eight groups of 32: d · scale · q − dmin · minimum, with scales and minima of 6 bits packed into 12 bytes. `fifth` is
 * the number of bytes with fifth bits before the others; bit g of each belongs to group g.
 */
@inline
function expandBlocks256(source: usize, target: usize, blocks: i32, fifth: usize): void {
  for (let block = 0; block < blocks; block++) {
    const at = source + (<usize>block) * (144 + fifth);
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
      // Two groups share 32 bytes: the even group has the low halves, the odd group the high halves.
      const bytes = at + 16 + fifth + ((<usize>(group >> 1)) << 5);
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
      if (fifth) {
        const bit = i8x16.splat(1);
        first = v128.or(first, i8x16.shl(v128.and(i8x16.shr_u(v128.load(at + 16), group), bit), 4));
        second = v128.or(second, i8x16.shl(v128.and(i8x16.shr_u(v128.load(at + 32), group), bit), 4));
      }
      storeSixteen(first, scales, offsets, to);
      storeSixteen(second, scales, offsets, to + 64);
    }
  }
}
