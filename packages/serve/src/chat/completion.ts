/** Answers in OpenAI's format. */
import type { ChatAnswer } from './answer-chat.js';
import type { Completion, CompletionChunk, Usage } from './answer-schemas.js';

/** What the chunks of an answer have in common. */
export type CompletionHead = Pick<Completion, 'id' | 'created' | 'model'>;

export const completionOf = (head: CompletionHead, answer: ChatAnswer): Completion => ({
  ...head,
  object: 'chat.completion',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: contentOf(answer), refusal: null },
      logprobs: null,
      finish_reason: answer.finish,
    },
  ],
  usage: usageOf(answer),
  contextlora: composedOf(answer),
});

export const contentOf = ({ answers }: ChatAnswer): string => answers.at(-1)?.answer ?? '';

export const chunkOf = (
  head: CompletionHead,
  delta: CompletionChunk['choices'][number]['delta'],
): CompletionChunk => ({
  ...head,
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta, logprobs: null, finish_reason: null }],
});

/** The chunk that ends an answer, with all that it builds on. */
export const lastChunkOf = (head: CompletionHead, answer: ChatAnswer): CompletionChunk => ({
  ...head,
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: answer.finish }],
  contextlora: composedOf(answer),
});

export const usageChunkOf = (head: CompletionHead, answer: ChatAnswer): CompletionChunk => ({
  ...head,
  object: 'chat.completion.chunk',
  choices: [],
  usage: usageOf(answer),
});

const usageOf = ({ promptTokens, answerTokens }: ChatAnswer): Usage => ({
  prompt_tokens: promptTokens,
  completion_tokens: answerTokens,
  total_tokens: promptTokens + answerTokens,
});

const composedOf = ({ answers }: ChatAnswer): Completion['contextlora'] => ({
  answers: answers.map(({ labels, ...rest }) => ({
    ...rest,
    ...(labels ? { labels: Object.fromEntries(labels) } : {}),
  })),
});
