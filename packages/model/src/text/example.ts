/** An example: what a model is asked and should answer, and the token ids of the question. */
import { framesImages, imageText } from '../images/image-text.js';
import { ModelError } from '../model-error.js';
import { audioText, audioTokensOf } from '../sounds/audio-text.js';
import type { ModelText } from './model-text.js';

/** A rendered prompt, perhaps with an image or a sound, and its answer. */
export interface Example {
  readonly prompt: string;
  /** The path of a picture, or the key of features supplied by the caller. */
  readonly image?: string;
  /** The path of a sound, whose length the model knows (`withSoundSamples`). */
  readonly audio?: string;
  /** The right answer; empty if only a prediction is wanted. */
  readonly answer: string;
  /** The answers to choose from; without labels the answer is free text. */
  readonly labels?: readonly string[];
  /** The JSON schema of a free answer; what is written meets it. */
  readonly schema?: Readonly<Record<string, unknown>>;
}

/**
 * The ids that a model reads before it answers. As in transformers, they start with the begin token if the tokenizer puts it before a
 * text; an empty prompt is always the begin token, because a model cannot continue from nothing.
 */
export function promptIds(
  model: ModelText,
  { prompt, image, audio }: Pick<Example, 'prompt' | 'image' | 'audio'>,
): number[] {
  return idsOf(model, prompt, {
    hasImage: image !== undefined,
    ...(audio === undefined ? {} : { audioTokens: audioTokensOf(model, audio) }),
  });
}

/** As {@link promptIds}, with an image or so many audio tokens before the text. */
export function idsOf(
  model: ModelText,
  prompt: string,
  { hasImage, audioTokens }: { readonly hasImage: boolean; readonly audioTokens?: number },
): number[] {
  const { spec, tokenizer } = model;
  const { addsBegin, beginId } = tokenizer;
  const isFramed = hasImage && spec.vision !== undefined && framesImages(model);
  const plain = isFramed ? `${imageText(model)}${prompt}` : prompt;
  if (model.renderPrompt)
    return tokenizer.encode(
      model.renderPrompt(plain, {
        hasUnframedImage: hasImage && !isFramed,
        ...(audioTokens === undefined ? {} : { audioTokens }),
      }),
    );
  const heard = audioTokens === undefined ? '' : audioText(model, audioTokens);
  const text = tokenizer.encode(`${heard}${plain}`);
  const isEmpty = text.length === 0 && !hasImage;
  const begin = beginId !== undefined && (addsBegin || isEmpty) ? [beginId] : [];
  if (isFramed) return [...begin, ...text];
  const imageIds =
    hasImage && spec.vision ? new Array<number>(spec.vision.tokenCount).fill(spec.vision.imageTokenId) : [];
  return [...begin, ...imageIds, ...text];
}

/** @throws ModelError when a prompt has no id: a model cannot continue from nothing. */
export function requirePrompt(ids: readonly number[], where: string): void {
  if (ids.length === 0)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      where,
      'the prompt has no token, and this model has no begin token',
    );
}
