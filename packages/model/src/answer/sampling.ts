/**
 * From logits to the next token, as in Hugging Face transformers: repetition penalty, constraint, temperature, top-k, top-p and min-p, in
 * this order, then a draw. The reference is transformers/generation/logits_process.py.
 */
import type { KeyedRandom } from '@contextlora/lora';

import { ModelError } from '../model-error.js';

export interface SamplingOptions {
  /** Divides the logits; 0 or absent chooses the likeliest token (greedy). */
  readonly temperature?: number;
  /** Keeps only this many of the likeliest tokens (and their equals). */
  readonly topK?: number;
  /** Keeps the smallest set of likeliest tokens whose total probability is at least this. */
  readonly topP?: number;
  /** Keeps only tokens at least this many times as likely as the likeliest. */
  readonly minP?: number;
  /** Divides positive and multiplies negative logits of all tokens already in prompt and answer; 1 for none (Keskar et al. 2019). */
  readonly repetitionPenalty?: number;
}

/** @throws ModelError listing every option that is out of range. */
export function requireSampling({
  temperature = 0,
  topK = 1,
  topP = 1,
  minP = 0,
  repetitionPenalty = 1,
}: SamplingOptions): void {
  const problems = [
    ...(temperature >= 0 && temperature < Infinity
      ? []
      : [`temperature must be 0 or more, got ${temperature}`]),
    ...(Number.isInteger(topK) && topK >= 1 ? [] : [`topK must be a positive integer, got ${topK}`]),
    ...(topP > 0 && topP <= 1 ? [] : [`topP must be above 0 and at most 1, got ${topP}`]),
    ...(minP >= 0 && minP <= 1 ? [] : [`minP must be from 0 to 1, got ${minP}`]),
    ...(repetitionPenalty > 0 && repetitionPenalty < Infinity
      ? []
      : [`repetitionPenalty must be above 0, got ${repetitionPenalty}`]),
  ];
  if (problems.length > 0) throw new ModelError('MODEL_INPUT_INVALID', 'sampling', problems.join('; '));
}

/**
 * The logits after all options, −Infinity for tokens that cannot be drawn; the input does not change. `previous` holds the ids of prompt
 * and answer, `allowed` a 1 for each token that a constraint allows.
 */
export function processLogits(
  logits: Float32Array,
  previous: readonly number[],
  options: SamplingOptions,
  allowed?: Uint8Array,
): Float32Array {
  const { temperature = 0, topK, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  const scores = Float32Array.from(logits);
  if (repetitionPenalty !== 1)
    for (const id of new Set(previous)) {
      const score = scores[id]!;
      scores[id] = score < 0 ? score * repetitionPenalty : score / repetitionPenalty;
    }
  if (allowed) for (let id = 0; id < scores.length; id++) if (!allowed[id]) scores[id] = -Infinity;
  if (temperature === 0) return scores;
  if (temperature !== 1) for (let id = 0; id < scores.length; id++) scores[id]! /= temperature;
  if (topK !== undefined && topK < scores.length) dropBelow(scores, kthLargest(scores, topK));
  if (topP < 1) keepNucleus(scores, topP);
  if (minP > 0) {
    const highest = maximum(scores);
    // p < minP · p_max, in logarithms.
    dropBelow(scores, highest + Math.log(minP));
  }
  return scores;
}

/** The id of the largest score, the first if several are equal; -1 if no token can be drawn. */
export function likeliest(scores: Float32Array): number {
  let best = -1;
  let highest = -Infinity;
  for (let id = 0; id < scores.length; id++)
    if (scores[id]! > highest) {
      highest = scores[id]!;
      best = id;
    }
  return best;
}

/** Draws an id with probability softmax(scores); -1 if no token can be drawn. */
export function drawToken(scores: Float32Array, random: KeyedRandom): number {
  const highest = maximum(scores);
  if (highest === -Infinity) return -1;
  let total = 0;
  for (const score of scores) if (score > -Infinity) total += Math.exp(score - highest);
  let rest = random.next() * total;
  let last = -1;
  for (let id = 0; id < scores.length; id++) {
    if (scores[id] === -Infinity) continue;
    last = id;
    rest -= Math.exp(scores[id]! - highest);
    if (rest < 0) return id;
  }
  return last;
}

/** log softmax(logits)[id] */
export function logProbability(logits: Float32Array, id: number): number {
  const highest = maximum(logits);
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - highest);
  return logits[id]! - highest - Math.log(total);
}

function maximum(values: Float32Array): number {
  let highest = -Infinity;
  for (const value of values) if (value > highest) highest = value;
  return highest;
}

function dropBelow(scores: Float32Array, bound: number): void {
  for (let id = 0; id < scores.length; id++) if (scores[id]! < bound) scores[id] = -Infinity;
}

/** The k-th largest value, from a heap of the k largest, because k is small and the vocabulary large. */
function kthLargest(values: Float32Array, k: number): number {
  const heap = new Float32Array(k).fill(-Infinity);
  for (const value of values) {
    if (!(value > heap[0]!)) continue;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= k) break;
      const least = left + 1 < k && heap[left + 1]! < heap[left]! ? left + 1 : left;
      if (heap[least]! >= value) break;
      heap[at] = heap[least]!;
      at = least;
    }
    heap[at] = value;
  }
  return heap[0]!;
}

/** Drops the least likely tokens while their total probability is at most 1 − topP; the likeliest always stays. */
function keepNucleus(scores: Float32Array, topP: number): void {
  const highest = maximum(scores);
  const powers = Float64Array.from(scores, (score) => Math.exp(score - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  const most = (1 - topP) * total;
  // Everything below this bound can be dropped: all of it together does not exceed `most`.
  const surely = most / scores.length;
  let dropped = 0;
  const rest: number[] = [];
  for (let id = 0; id < scores.length; id++) {
    if (powers[id]! > surely) rest.push(id);
    else {
      dropped += powers[id]!;
      scores[id] = -Infinity;
    }
  }
  rest.sort((a, b) => powers[a]! - powers[b]!);
  for (const id of rest.slice(0, -1)) {
    dropped += powers[id]!;
    if (dropped > most) return;
    scores[id] = -Infinity;
  }
}
