/** How likely a model finds each of some labels behind a prompt; the prompt is computed once. */
import { cachedLogits, openCache } from '../pass/cached-pass.js';
import type { Prompt } from './generate.js';
import type { SegmentsByLayer } from '../pass/language-pass.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import { logProbability } from './sampling.js';
import { answerIds, promptIds } from '../text/token-rows.js';

export interface ScoreLabelsOptions {
  readonly segments?: SegmentsByLayer | undefined;
  /** Features of the image before the prompt. */
  readonly image?: Float32Array | undefined;
  /**
   * What labels of unequal lengths are compared by: `sum`, the probability of the whole label, which favours short ones; `mean`, that of a
   * token on average (its logarithm over the number of tokens), which does not.
   * @default 'sum'
   */
  readonly lengths?: 'sum' | 'mean';
}

export interface LabelScore {
  readonly label: string;
  readonly tokens: number;
  /** ln p(label | prompt) over the whole vocabulary, summed over its tokens. */
  readonly logProbability: number;
  /** The share of this label among all, by `lengths`; the shares sum to 1. */
  readonly probability: number;
}

/** Labels that are computed at once; bounds the copies of the prompt's keys and values. */
const labelsAtOnce = 16;

/**
 * Scores labels in the order given. A label is spelt as an answer is, with the space that parts words.
 *
 * @throws Error when there is no label, or one has no token.
 */
export async function scoreLabels(
  model: LoadedModel,
  prompt: Prompt,
  labels: readonly string[],
  { segments, image, lengths = 'sum' }: ScoreLabelsOptions = {},
): Promise<LabelScore[]> {
  if (labels.length === 0) throw new Error('model/scoreLabels: there are no labels');
  const sequences = labels.map((label) => answerIds(model, label));
  const empty = sequences.findIndex((ids) => ids.length === 0);
  if (empty >= 0)
    throw new Error(`model/scoreLabels: label ${empty} (${JSON.stringify(labels[empty])}) has no token`);
  const ids =
    typeof prompt === 'string'
      ? promptIds(model, { prompt, answer: '', ...(image ? { image: 'given' } : {}) })
      : prompt;
  const cache = openCache(model, {
    capacity: Math.min(model.rotary.time, ids.length + Math.max(...sequences.map(({ length }) => length))),
  });
  try {
    const first = (await cachedLogits(model, [{ ids, image, segments }], cache))[0]![0]!;
    const sums = sequences.map((sequence) => logProbability(first, sequence[0]!));
    for (let at = 0; at < sequences.length; at += labelsAtOnce) {
      const slice = sequences.slice(at, at + labelsAtOnce);
      // The labels of the slice before may have left more or fewer rows, all of which begin with the prompt.
      cache.select(slice.map(() => 0));
      cache.truncate(slice.map(() => ids.length));
      if (slice.every(({ length }) => length === 1)) continue;
      const logits = await cachedLogits(
        model,
        slice.map((sequence) => ({ ids: sequence.slice(0, -1), segments })),
        cache,
        { every: true },
      );
      for (const [i, sequence] of slice.entries())
        for (const [j, id] of sequence.slice(1).entries())
          sums[at + i]! += logProbability(logits[i]![j]!, id);
    }
    const scores = sums.map((sum, i) => (lengths === 'mean' ? sum / sequences[i]!.length : sum));
    const highest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - highest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return labels.map((label, i) => ({
      label,
      tokens: sequences[i]!.length,
      logProbability: sums[i]!,
      probability: powers[i]! / total,
    }));
  } finally {
    cache.dispose();
  }
}
