/** From examples to rows of token ids: begin token, image tokens, prompt, and what is wanted behind it. */
import type { ModelExample } from './example.js';
import { framesImages, imageText } from '../images/image-text.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import type { TokenBatch } from '../pass/language-pass.js';

/**
 * The ids a model reads before it answers. They begin with the begin token where the tokenizer puts it before a text, as transformers
 * has it; an empty prompt is the begin token in any case, since a model cannot go on from nothing.
 */
export function promptIds(model: LoadedModel, { prompt, image }: ModelExample): number[] {
  const { spec, tokenizer } = model;
  const { addsBegin, beginId } = tokenizer;
  const isFramed = image !== undefined && spec.vision !== undefined && framesImages(model);
  const text = tokenizer.encode(isFramed ? `${imageText(model)}${prompt}` : prompt);
  const isEmpty = text.length === 0 && image === undefined;
  const begin = beginId !== undefined && (addsBegin || isEmpty) ? [beginId] : [];
  if (isFramed) return [...begin, ...text];
  const imageIds =
    image !== undefined && spec.vision
      ? new Array<number>(spec.vision.tokenCount).fill(spec.vision.imageTokenId)
      : [];
  return [...begin, ...imageIds, ...text];
}

/** The ids of an answer, spelt as it is behind a prompt: with the space that parts words. */
export function answerIds({ tokenizer }: LoadedModel, answer: string): number[] {
  // A tokenizer that adds the space itself gives the same ids with and without one.
  const [plain, spaced] = [tokenizer.encode(answer), tokenizer.encode(` ${answer}`)];
  return spaced.length <= plain.length ? spaced : plain;
}

/** Right-pads rows to one length; a causal model never looks right, so padding changes nothing before it. */
export function batchOf(
  { tokenizer }: LoadedModel,
  rows: readonly (readonly number[])[],
  images: readonly (Float32Array | undefined)[],
): TokenBatch {
  const time = Math.max(...rows.map((row) => row.length));
  const ids = new Int32Array(rows.length * time).fill(tokenizer.padId);
  for (const [i, row] of rows.entries()) ids.set(row, i * time);
  return { batch: rows.length, time, ids, images };
}
