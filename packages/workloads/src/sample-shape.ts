/** The size of the training samples that examples become. */
import { answerIds, type Example, type LoadedModel, promptIds } from '@contextlora/model';

import type { SampleShape } from './layer-costs.js';

/**
 * The largest of the examples, to which a batch is padded. Every token of an answer, its end included, is compared with the whole
 * vocabulary; the few columns of a choice among labels are not counted.
 */
export function sampleShapeOf(base: LoadedModel, examples: readonly Example[]): SampleShape {
  const sizes = examples.map((example) => {
    const prompt = promptIds(base, example);
    const answered = answerIds(base, example.answer, prompt).length;
    return { tokens: prompt.length + answered - 1, answered };
  });
  return {
    tokens: Math.max(1, ...sizes.map(({ tokens }) => tokens)),
    answered: Math.max(1, ...sizes.map(({ answered }) => answered)),
    images: examples[0]?.image === undefined ? 0 : 1,
    featuresKept: true,
  };
}
