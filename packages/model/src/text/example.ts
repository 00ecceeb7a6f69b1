/** A rendered prompt, perhaps with an image, and its answer. */
export interface Example {
  readonly prompt: string;
  /** The path of a picture, or the key of features supplied by the caller. */
  readonly image?: string;
  /** The right answer; empty if only a prediction is wanted. */
  readonly answer: string;
  /** The answers to choose from; without labels the answer is free text. */
  readonly labels?: readonly string[];
}
