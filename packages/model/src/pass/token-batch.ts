/** Rows of token ids as one batch. */
import type { TextTokenizer } from '../text/tokenizer.js';

/** The size of a batch of equal-length rows. */
export interface BatchShape {
  readonly batch: number;
  readonly time: number;
  /** The left padding of each row. */
  readonly firstKeys?: readonly number[];
}

/** A batch of rows of token ids. */
export interface TokenBatch extends BatchShape {
  /** `[batch · time]`; a row with an image or a sound contains its tokens. */
  readonly ids: Int32Array;
  /** The image features `[image tokens, wide]` of each row that has an image. */
  readonly images: readonly (Float32Array | undefined)[];
  /** The features `[audio tokens, hidden]` of each row that has a sound. */
  readonly sounds?: readonly (Float32Array | undefined)[];
}

/** Right-pads rows to one length, that of the longest or `minimumTime`; a causal model never looks right, so padding changes nothing before it. */
export function batchOf(
  { tokenizer }: { readonly tokenizer: Pick<TextTokenizer, 'padId'> },
  rows: readonly (readonly number[])[],
  images: readonly (Float32Array | undefined)[],
  {
    minimumTime = 0,
    sounds = [],
  }: { readonly minimumTime?: number; readonly sounds?: TokenBatch['images'] } = {},
): TokenBatch {
  const time = Math.max(minimumTime, ...rows.map((row) => row.length));
  const ids = new Int32Array(rows.length * time).fill(tokenizer.padId);
  for (const [i, row] of rows.entries()) ids.set(row, i * time);
  return { batch: rows.length, time, ids, images, sounds };
}
