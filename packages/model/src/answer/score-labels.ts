/** Scores labels as answers to a prompt. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { labelIds } from '../text/answer-tokens.js';
import { idsOf } from '../text/example.js';
import type { Prompt } from './answer-row.js';
import { scoreAnswers } from './score-answers.js';

export interface ScoreLabelsOptions {
  readonly segments?: SegmentsByLinear | undefined;
  /** The features of the image before the prompt. */
  readonly image?: Float32Array | undefined;
  /** The features of the sounds in the prompt, in order. */
  readonly audio?: Float32Array | undefined;
  /**
   * How labels of unequal lengths are compared: `sum` takes the probability of the whole label and its end; `mean` divides its logarithm
   * by the number of tokens.
   * @default 'sum'
   */
  readonly lengths?: 'sum' | 'mean';
}

export interface LabelScore {
  readonly label: string;
  /** The label's tokens and its end. */
  readonly tokens: number;
  /** ln p(label, end | prompt) over the whole vocabulary, summed over the tokens. */
  readonly logProbability: number;
  /** The label's share among all labels, compared as `lengths` says; the shares sum to 1. */
  readonly probability: number;
}

/**
 * Scores labels, in the order given, as whole answers: each with the tokens that training gives it, its end token included, so that a label
 * which begins another is as likely as the model writes it and nothing more.
 *
 * @throws ModelError when there is no label, a label has no token or two have the same, or the model has no end token.
 */
export async function scoreLabels(
  model: LoadedModel,
  prompt: Prompt,
  labels: readonly string[],
  { segments, image, audio, lengths = 'sum' }: ScoreLabelsOptions = {},
): Promise<LabelScore[]> {
  if (!['sum', 'mean'].includes(lengths))
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'scoreLabels',
      `lengths must be sum or mean, got ${JSON.stringify(lengths)}`,
    );
  const ids =
    typeof prompt === 'string'
      ? idsOf(model, prompt, {
          hasImage: image !== undefined,
          ...(audio ? { audioTokens: audio.length / model.spec.text.hiddenSize } : {}),
        })
      : prompt;
  const answers = labelIds(model, labels, ids);
  const [sums = []] = await scoreAnswers(model, [{ ids, image, audio, segments, answers }]);
  const scored = labels.map((label, i) => ({
    label,
    tokens: answers[i]?.length ?? 0,
    logProbability: sums[i] ?? NaN,
  }));
  const shares = shareOf(
    scored.map(({ tokens, logProbability }) =>
      lengths === 'mean' ? logProbability / tokens : logProbability,
    ),
  );
  return scored.map((score, i) => ({ ...score, probability: shares[i] ?? NaN }));
}

/** e^x of each x, divided by their sum. */
function shareOf(logarithms: readonly number[]): number[] {
  const highest = Math.max(...logarithms);
  const powers = logarithms.map((logarithm) => Math.exp(logarithm - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
