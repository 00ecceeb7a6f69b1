/** The check that a text fits the model's positions, which names what limits them. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';

/** What limits the positions of a model, for messages: a number, and the sliding window if that is the limit. */
export function positionLimit({ rotary, spec }: Pick<LoadedModel, 'rotary' | 'spec'>): string {
  return spec.text.slidingWindow === rotary.time
    ? `${rotary.time} positions of the model's sliding window`
    : `${rotary.time} positions that are computed`;
}

/** @throws ModelError (`MODEL_CONTEXT_FULL`) when more positions are needed than the model has. */
export function requirePositions(
  model: Pick<LoadedModel, 'rotary' | 'spec'>,
  needed: number,
  where: string,
): void {
  if (needed > model.rotary.time)
    throw new ModelError(
      'MODEL_CONTEXT_FULL',
      where,
      `${needed} tokens exceed the ${positionLimit(model)}; shorten the prompt`,
    );
}
