/** What of a model turns examples into tokens. */
import type { ModelSpec } from '../spec/model-spec.js';
import type { RenderPrompt } from './render-prompt.js';
import type { TextTokenizer } from './tokenizer.js';

/** The text side of a model, for a device that holds texts and none of the model's weights. */
export interface ModelText {
  readonly spec: ModelSpec;
  readonly tokenizer: TextTokenizer;
  /** Every id that ends an answer: the tokenizer's end token and those that the checkpoint lists. */
  readonly endIds: readonly number[];
  /** The samples of 16 kHz of each sound that an example may name, by its path; see `withSoundSamples`. */
  readonly soundSamples?: ReadonlyMap<string, number>;
  /** Puts the prompt of an example into another form before it is read; see `withChatPrompts`. */
  readonly renderPrompt?: RenderPrompt;
}
