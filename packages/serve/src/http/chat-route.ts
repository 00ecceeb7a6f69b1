/** `POST /v1/chat/completions`. */
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';

import { answerChat, type ChatAnswer } from '../chat/answer-chat.js';
import {
  chunkOf,
  type CompletionHead,
  completionOf,
  contentOf,
  lastChunkOf,
  usageChunkOf,
} from '../chat/completion.js';
import { parseChat } from '../chat/parse-chat.js';
import { type ChatQuestion, readChat } from '../chat/read-chat.js';
import type { ServedRun } from '../chat/served-run.js';
import type { Engine } from '../engine/engine.js';
import { ServeError } from '../serve-error.js';
import type { ServerLimits } from '../server-options.js';
import type { Admission } from './admission.js';
import { errorAnswer } from './error-response.js';
import type { Metrics } from './metrics.js';
import { readBody } from './read-body.js';

export interface ChatRouteOptions {
  readonly served: ServedRun;
  readonly engine: Engine;
  readonly limits: ServerLimits;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly clock: () => number;
  /** A fresh id and the time of an answer. */
  readonly headOf: (task: string) => CompletionHead;
  readonly onError: (error: unknown) => void;
}

export const chatRoute =
  ({ served, engine, limits, admission, metrics, clock, headOf, onError }: ChatRouteOptions) =>
  async (c: Context): Promise<Response> => {
    const started = clock();
    let task = 'none';
    const ended = (status: number) => {
      metrics.ended({ task, status, seconds: clock() - started });
    };
    const failed = (error: unknown) => {
      ended(errorAnswer(error).status);
    };
    const answer = async (question: ChatQuestion, signal: AbortSignal, onText?: (text: string) => void) => {
      const given = await answerChat(served, question, { engine, signal, ...(onText ? { onText } : {}) });
      metrics.tokens(task, { prompt: given.promptTokens, answer: given.answerTokens });
      return given;
    };
    if (!/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? ''))
      throw new ServeError(
        'SERVE_MEDIA_REFUSED',
        'chat',
        'the body must be "Content-Type: application/json"',
      );
    const { signal, leave } = admission.enter(c.req.raw.signal);
    let isStreaming = false;
    try {
      const request = parseChat(await readBody(c.req.raw, limits.maximumBodyBytes));
      const question = await readChat(served, request, limits);
      task = question.question.task;
      const head = headOf(task);
      signal.throwIfAborted();
      if (request.stream !== true) {
        const response = c.json(completionOf(head, await answer(question, signal)));
        ended(200);
        return response;
      }
      isStreaming = true;
      return streamSSE(c, async (stream) => {
        const send = (data: unknown) => stream.writeSSE({ data: JSON.stringify(data) });
        try {
          let pieces = 0;
          await send(chunkOf(head, { role: 'assistant', content: '' }));
          const given: ChatAnswer = await answer(question, signal, (content) => {
            pieces += 1;
            void send(chunkOf(head, { content }));
          });
          if (pieces === 0) await send(chunkOf(head, { content: contentOf(given) }));
          await send(lastChunkOf(head, given));
          if (request.stream_options?.include_usage === true) await send(usageChunkOf(head, given));
          await stream.writeSSE({ data: '[DONE]' });
          ended(200);
        } catch (error) {
          // The status has been sent; clients look for this.
          failed(error);
          onError(error);
          await send(errorAnswer(error).body);
        } finally {
          leave();
        }
      });
    } catch (error) {
      failed(error);
      throw error;
    } finally {
      if (!isStreaming) leave();
    }
  };
