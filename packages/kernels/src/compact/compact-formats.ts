/** The table of all formats that a frozen weight can have instead of float32; every other list of them derives from it. */
import { requireChoice } from '../require-choice.js';
import type { BlockWeight } from './block-format.js';
import { f16, type F16Weight } from './formats/f16.js';
import { int8, type Int8Weight } from './formats/int8.js';
import { q4_0 } from './formats/q4_0.js';
import { q4_1 } from './formats/q4_1.js';
import { q4_K } from './formats/q4_K.js';
import { q5_1 } from './formats/q5_1.js';
import { q5_K } from './formats/q5_K.js';
import { q6_K } from './formats/q6_K.js';
import { q8_0 } from './formats/q8_0.js';
import type { WeightFormat } from './weight-format.js';

export const compactFormats = { f16, int8, q8_0, q4_0, q4_1, q4_K, q5_1, q5_K, q6_K } as const;

export type CompactFormat = keyof typeof compactFormats;

/** Formats whose weights are blocks of bytes. */
export type BlockFormat = Exclude<CompactFormat, 'f16' | 'int8'>;

/** Formats that float32 can be rounded to. */
export type CompressFormat = {
  [Name in CompactFormat]: (typeof compactFormats)[Name] extends { encode: unknown } ? Name : never;
}[CompactFormat];

/** A weight in fewer bytes than float32, row-major `[out, in]`. */
export type CompactWeight = F16Weight | Int8Weight | BlockWeight<BlockFormat>;

/** The format of a weight. */
export function formatOf({ format }: CompactWeight): WeightFormat<CompactWeight> {
  requireChoice('prepareLinear', 'the format of a weight', format, Object.keys(compactFormats));
  return compactFormats[format];
}
