/** Generates text token by token for one prompt or a batch, in which each row has its own options and segments. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { openAnswerBatch } from './answer-batch.js';
import {
  type GenerateOptions,
  type GenerateRequest,
  type GenerationEvent,
  openAnswerRow,
  type Prompt,
  type RowEvent,
} from './answer-row.js';
import type { Conversation } from './conversation.js';

export interface GenerationResult {
  /** The ids of the answer, without an end token. */
  readonly ids: readonly number[];
  readonly text: string;
  /** What ended the answer: an end token, a stop sequence, the limit of tokens or positions, or the caller's signal. */
  readonly finish: 'end' | 'stop' | 'length' | 'aborted';
  readonly promptTokens: number;
  /** The prompt tokens that an earlier turn of the conversation had already read. */
  readonly cachedTokens: number;
}

export interface GenerateControl {
  /** Ends all answers after the current token. */
  readonly signal?: AbortSignal | undefined;
}

export interface TurnControl extends GenerateControl {
  /** The conversation that this turn continues; prompt tokens it has already read are not read again. */
  readonly conversation?: Conversation | undefined;
}

/**
 * Generates an answer and yields one event per token; the return value is the whole answer. `return()` or the signal ends it early.
 *
 * Memory in addition to the model: keys and values of prompt and answer (see `openCache`) and one row of logits.
 *
 * @throws ModelError when the prompt is empty or leaves no position for an answer, or an option is out of range.
 */
export async function* generate(
  model: LoadedModel,
  prompt: Prompt,
  { signal, conversation, ...options }: GenerateOptions & TurnControl = {},
): AsyncGenerator<GenerationEvent, GenerationResult> {
  const rows = generateRows(model, [{ prompt, ...options }], { signal, conversation });
  for (;;) {
    const { done, value } = await rows.next();
    if (done) {
      const [result] = value;
      if (!result) throw new Error('internal: a request has no result');
      return result;
    }
    const { id, text, logProbability } = value;
    yield { id, text, ...(logProbability === undefined ? {} : { logProbability }) };
  }
}

/**
 * Answers several prompts in one batch; each row equals what it would be alone. A finished row costs nothing more.
 *
 * Rows with the same map of segments are placed next to each other, so that a pass multiplies each segment once.
 */
export function generateBatch(
  model: LoadedModel,
  requests: readonly GenerateRequest[],
  { signal }: GenerateControl = {},
): AsyncGenerator<RowEvent, GenerationResult[]> {
  return generateRows(model, requests, { signal });
}

/** Implements both of the above; a conversation allows one request only. */
async function* generateRows(
  model: LoadedModel,
  requests: readonly GenerateRequest[],
  { signal, conversation }: TurnControl,
): AsyncGenerator<RowEvent, GenerationResult[]> {
  const all = requests.map((options, index) => openAnswerRow(model, options, index));
  const [firstRow] = all;
  if (!firstRow) return [];
  const cachedTokens = conversation?.resume(firstRow.promptIds, firstRow.options) ?? 0;
  const longest = Math.max(...all.map(({ promptIds, limit }) => promptIds.length + Math.min(limit, 64)));
  conversation?.cache.reserve(Math.min(longest, model.rotary.time));
  const batch = openAnswerBatch(
    model,
    conversation ? { held: { cache: conversation.cache, cachedTokens } } : {},
  );
  try {
    let steps = signal?.aborted ? [] : await batch.join(all);
    for (;;) {
      for (const { event, error } of steps) {
        if (error !== undefined) throw error as Error;
        if (event) yield event;
      }
      if (batch.rows.length === 0) break;
      // A pass is synchronous: without this pause, signals and key presses would go unnoticed until the end.
      await new Promise((resolve) => setImmediate(resolve));
      if (signal?.aborted) break;
      steps = await batch.step();
    }
  } finally {
    if (conversation)
      for (const { promptIds, ids, options } of all) conversation.keep([...promptIds, ...ids], options);
    else batch.dispose();
  }
  return all.map(({ ids, text, finish, promptIds }) => ({
    ids,
    text,
    finish: finish ?? 'aborted',
    promptTokens: promptIds.length,
    cachedTokens,
  }));
}
