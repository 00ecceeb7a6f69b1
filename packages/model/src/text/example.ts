/** What a model is asked and should answer: an already rendered prompt, and perhaps an image. */
export interface ModelExample {
  readonly prompt: string;
  /** Path of a picture, or the key of features given by hand. */
  readonly image?: string;
  /** The right answer; empty where only a prediction is wanted. */
  readonly answer: string;
  /** The answers to choose from; without them the answer is free text. */
  readonly labels?: readonly string[];
}
