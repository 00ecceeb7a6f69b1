/** Scores labels as answers to a prompt, which is computed once. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import { cachedLogits, openCache } from '../pass/cached-pass.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { answerIds, promptIds } from '../text/example.js';
import type { Prompt } from './answer-row.js';
import { logProbability } from './sampling.js';

export interface ScoreLabelsOptions {
  readonly segments?: SegmentsByLinear | undefined;
  /** The features of the image before the prompt. */
  readonly image?: Float32Array | undefined;
  /**
   * How labels of unequal lengths are compared: `sum` takes the probability of the whole label, which favours short labels; `mean` divides
   * its logarithm by the number of tokens, which does not.
   * @default 'sum'
   */
  readonly lengths?: 'sum' | 'mean';
}

export interface LabelScore {
  readonly label: string;
  readonly tokens: number;
  /** ln p(label | prompt) over the whole vocabulary, summed over its tokens. */
  readonly logProbability: number;
  /** The label's share among all labels, compared as `lengths` says; the shares sum to 1. */
  readonly probability: number;
}

/** The labels computed at once; this bounds the copies of the prompt's keys and values. */
const labelsAtOnce = 16;

/**
 * Scores labels in the order given. Like an answer, a label gets the space that separates words.
 *
 * @throws ModelError when there is no label, or a label has no token.
 */
export async function scoreLabels(
  model: LoadedModel,
  prompt: Prompt,
  labels: readonly string[],
  { segments, image, lengths = 'sum' }: ScoreLabelsOptions = {},
): Promise<LabelScore[]> {
  const invalid = (what: string) => new ModelError('MODEL_INPUT_INVALID', 'scoreLabels', what);
  if (!['sum', 'mean'].includes(lengths))
    throw invalid(`lengths must be sum or mean, got ${JSON.stringify(lengths)}`);
  if (labels.length === 0) throw invalid('there are no labels');
  const scored = labels.map((label) => ({ label, ids: answerIds(model, label), sum: 0 }));
  const empty = scored.findIndex(({ ids: sequence }) => sequence.length === 0);
  if (empty >= 0) throw invalid(`label ${empty} (${JSON.stringify(labels[empty])}) has no token`);
  const ids =
    typeof prompt === 'string' ? promptIds(model, { prompt, ...(image ? { image: 'given' } : {}) }) : prompt;
  const longest = Math.max(...scored.map(({ ids: { length } }) => length));
  const cache = openCache(model, { capacity: Math.min(model.rotary.time, ids.length + longest) });
  try {
    const add = (label: (typeof scored)[number], logits: readonly Float32Array[], from: number) => {
      for (const [i, row] of logits.entries()) label.sum += logProbability(row, label.ids[from + i] ?? -1);
    };
    const [afterPrompt = []] = await cachedLogits(model, [{ ids, image, segments }], cache);
    for (const label of scored) add(label, afterPrompt, 0);
    for (let at = 0; at < scored.length; at += labelsAtOnce) {
      const slice = scored.slice(at, at + labelsAtOnce);
      // The previous slice may have left more or fewer rows, all of which begin with the prompt.
      cache.select(slice.map(() => 0));
      cache.truncate(slice.map(() => ids.length));
      if (slice.every(({ ids: { length } }) => length === 1)) continue;
      const rows = slice.map((label) => ({ ids: label.ids.slice(0, -1), segments }));
      const logits = await cachedLogits(model, rows, cache, { every: true });
      for (const [i, label] of slice.entries()) add(label, logits[i] ?? [], 1);
    }
    const comparable = scored.map(({ sum, ids: { length } }) => (lengths === 'mean' ? sum / length : sum));
    const highest = Math.max(...comparable);
    const powers = comparable.map((score) => Math.exp(score - highest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return scored.map(({ label, ids: { length }, sum }, i) => ({
      label,
      tokens: length,
      logProbability: sum,
      probability: (powers[i] ?? NaN) / total,
    }));
  } finally {
    cache.dispose();
  }
}
