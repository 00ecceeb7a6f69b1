/** The probabilities of given answers to prompts; each prompt is computed once, however many answers it has. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import { cachedLogits, openCache } from '../pass/cached-pass.js';
import { requirePositions } from '../pass/require-positions.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { requirePrompt } from '../text/example.js';

/** A prompt and the answers to score. */
export interface ScoredPrompt {
  readonly ids: readonly number[];
  /** The features of the image before the prompt. */
  readonly image?: Float32Array | undefined;
  /** The features of the sounds in the prompt, in order. */
  readonly audio?: Float32Array | undefined;
  readonly segments?: SegmentsByLinear | undefined;
  /** The ids of each answer, at least one, its end token last (see `answerIds`). */
  readonly answers: readonly (readonly number[])[];
}

/** Bounds the copies of prompts' keys and values and the logits that exist at a time. */
const workingBytes = 128 * 2 ** 20;

/**
 * For each prompt ln p(answer | prompt) of each of its answers over the whole vocabulary, summed over its tokens, the end included.
 *
 * @throws ModelError when a prompt and an answer need more positions than the model has, or the model gives no number.
 */
export async function scoreAnswers(
  model: LoadedModel,
  prompts: readonly ScoredPrompt[],
): Promise<number[][]> {
  for (const { ids } of prompts) requirePrompt(ids, 'scoreAnswers');
  const scores: number[][] = [];
  for (const { part, rows } of partsOf(model, prompts)) scores.push(...(await scorePart(model, part, rows)));
  if (!scores.flat().every((score) => Number.isFinite(score)))
    throw new ModelError(
      'MODEL_NO_TOKEN',
      'scoreAnswers',
      'the model gives no number for an answer; its weights or its adapter may be damaged',
    );
  return scores;
}

/** Consecutive prompts whose answers fit in one pass; a prompt with more answers than that is alone. */
function partsOf(
  model: LoadedModel,
  prompts: readonly ScoredPrompt[],
): { part: ScoredPrompt[]; rows: number }[] {
  const { layerCount, kvHeads, headDim, vocabularySize } = model.spec.text;
  const longest = Math.max(...prompts.flatMap(({ answers }) => answers.map(({ length }) => length)));
  const positions = Math.max(...prompts.map(({ ids }) => ids.length)) + longest - 1;
  requirePositions(model, positions, 'scoreAnswers');
  const rowBytes = 4 * (2 * positions * layerCount * kvHeads * headDim + longest * vocabularySize);
  const rows = Math.max(1, Math.floor(workingBytes / rowBytes));
  const parts: { part: ScoredPrompt[]; rows: number }[] = [];
  let free = 0;
  for (const prompt of prompts) {
    const last = parts.at(-1);
    if (last && prompt.answers.length <= free) last.part.push(prompt);
    else {
      parts.push({ part: [prompt], rows });
      free = rows;
    }
    free -= prompt.answers.length;
  }
  return parts;
}

async function scorePart(
  model: LoadedModel,
  part: readonly ScoredPrompt[],
  rows: number,
): Promise<number[][]> {
  const scored = part.flatMap(({ answers, segments }, prompt) =>
    answers.map((ids) => ({ prompt, ids, segments, sum: 0 })),
  );
  const longest = Math.max(...scored.map(({ ids }) => ids.length));
  const cache = openCache(model, {
    batch: part.length,
    capacity: Math.max(...part.map(({ ids }) => ids.length)) + longest - 1,
  });
  try {
    const asked = part.map(({ ids, image, audio, segments }) => ({ ids, image, audio, segments }));
    const first = (await cachedLogits(model, asked, cache)).map(([logits]) => logitsWithTotal(logits));
    for (const answer of scored) answer.sum += first[answer.prompt]?.(answer.ids[0]) ?? NaN;
    for (let at = 0; at < scored.length; at += rows) {
      const slice = scored.slice(at, at + rows);
      // After the first slice all rows begin with the one prompt of this part.
      cache.select(slice.map(({ prompt }) => (at === 0 ? prompt : 0)));
      cache.truncate(slice.map(({ prompt }) => part[prompt]?.ids.length ?? 0));
      const given = slice.map(({ ids, segments }) => ({ ids: ids.slice(0, -1), segments }));
      const logits = await cachedLogits(model, given, cache, { every: true });
      for (const [i, answer] of slice.entries())
        for (const [j, id] of answer.ids.slice(1).entries())
          answer.sum += logitsWithTotal(logits[i]?.[j])(id);
    }
  } finally {
    cache.dispose();
  }
  return part.map((_, prompt) => scored.filter((answer) => answer.prompt === prompt).map(({ sum }) => sum));
}

/** A function from an id to its log-probability under the given logits. */
function logitsWithTotal(logits: Float32Array = new Float32Array()): (id: number | undefined) => number {
  let highest = -Infinity;
  for (const logit of logits) if (logit > highest) highest = logit;
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - highest);
  const all = highest + Math.log(total);
  return (id = -1) => (logits[id] ?? NaN) - all;
}
