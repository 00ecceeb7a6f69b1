/** A model whose examples are asked as a user's messages, through the chat template that comes with it. */
import { ModelError } from '../model-error.js';
import { audioText, withAudioTokens } from '../sounds/audio-text.js';
import { renderChat } from './chat-template.js';
import type { ModelText } from './model-text.js';

/**
 * The same model, which reads the prompt of every example as one message of a user and answers as the assistant, in training and after.
 *
 * @throws ModelError (`MODEL_TEMPLATE_FAILED`), at the first prompt, when the model has no template, the template writes the date or drops
 * the message, or the prompt has an image whose place in the conversation is not known.
 */
export function withChatPrompts<Model extends ModelText>(model: Model): Model {
  if (model.renderPrompt) return model;
  const fail = (what: string) => new ModelError('MODEL_TEMPLATE_FAILED', 'withChatPrompts', what);
  return {
    ...model,
    renderPrompt(prompt, { hasUnframedImage, audioTokens }) {
      if (hasUnframedImage)
        throw fail(
          'this model puts images before its text, where no chat template expects them; use plain prompts for tasks with images',
        );
      const isHeard = audioTokens !== undefined;
      const content = isHeard
        ? [{ type: 'audio' } as const, { type: 'text', text: prompt } as const]
        : prompt;
      const text = renderChat(model.tokenizer, [{ role: 'user', content }], {
        ...(isHeard ? { audioToken: audioText(model, 1) } : {}),
      });
      if (!text.includes(prompt.trim()))
        throw fail(
          "the model's chat template does not write the message as it is (some take only lists of parts); use plain prompts",
        );
      return isHeard ? withAudioTokens(model, text, [audioTokens]) : text;
    },
  };
}
