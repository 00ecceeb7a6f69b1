/** The form in which a model reads the prompts of its examples. */

/** A prompt, with the text of its image if that has one, → the text that the model reads, special tokens included. */
export type RenderPrompt = (
  prompt: string,
  /** Whether the prompt comes with an image that has no place in its text, and the tokens of its sound, which has none yet. */
  about: { readonly hasUnframedImage: boolean; readonly audioTokens?: number },
) => string;
