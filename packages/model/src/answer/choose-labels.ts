/** The likeliest of given labels for each of several prompts. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { openLabelIds } from '../text/answer-tokens.js';
import { scoreAnswers } from './score-answers.js';

/** A prompt and the labels that answer it. */
export interface LabelQuestion {
  readonly ids: readonly number[];
  /** The features of the image before the prompt. */
  readonly image?: Float32Array | undefined;
  /** The features of the sounds in the prompt, in order. */
  readonly audio?: Float32Array | undefined;
  /** The active segments for this prompt. */
  readonly segments?: SegmentsByLinear | undefined;
  readonly labels: readonly string[];
}

export interface LabelChoice {
  readonly answer: string;
  /** For each label, in the order given, ln p(label, end | prompt), normalised over the labels. */
  readonly labelLogProbabilities: readonly number[];
}

/**
 * Opens a function that answers several prompts in as few passes as memory allows; adjacent prompts with the same map of segments are
 * computed together.
 *
 * @throws ModelError as `scoreLabels`, and when a prompt with its label needs more positions than the model has.
 */
export function openLabelChoice(
  model: LoadedModel,
): (questions: readonly LabelQuestion[]) => Promise<LabelChoice[]> {
  const labelIdsOf = openLabelIds(model);
  return async (questions) => {
    const prompts = questions.map(({ labels, ...prompt }) => ({
      ...prompt,
      answers: labelIdsOf(labels, prompt.ids),
    }));
    const scores = await scoreAnswers(model, prompts);
    return questions.map(({ labels }, i) => likeliestLabel(labels, scores[i] ?? []));
  };
}

function likeliestLabel(labels: readonly string[], scores: readonly number[]): LabelChoice {
  const highest = Math.max(...scores);
  const total = highest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - highest), 0));
  return {
    answer: labels[scores.indexOf(highest)] ?? '',
    labelLogProbabilities: scores.map((score) => score - total),
  };
}
