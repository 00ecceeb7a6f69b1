/** Text token by token, for one prompt or several at once, each row with options and segments of its own. */
import { keyedRandom } from '@contextlora/lora';

import { cachedLogits, type CachedRow, openCache } from '../pass/cached-pass.js';
import type { Conversation } from './conversation.js';
import type { SegmentsByLayer } from '../pass/language-pass.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import {
  drawToken,
  likeliest,
  logProbability,
  processLogits,
  requireSampling,
  type SamplingOptions,
} from './sampling.js';
import { openTextStream } from '../text/stream.js';
import { promptIds } from '../text/token-rows.js';

/** What may come next, and what has come; made anew for every answer. */
export interface ConstraintState {
  /** Sets to 1 each id of the vocabulary that may come next if the answer, with it, is to end within so many tokens. */
  allow(mask: Uint8Array, remaining: number): void;
  /** Whether the answer may end here. */
  readonly mayEnd: boolean;
  /** Whether it must. */
  readonly isComplete: boolean;
  advance(id: number): void;
}

/** A form that the answer must have, such as `jsonConstraint` makes. */
export interface TokenConstraint {
  /** An answer may need so many tokens at least, where only short ones fit. */
  readonly minimumTokens: number;
  start(): ConstraintState;
}

export interface GenerateOptions extends SamplingOptions {
  /** @default 128 */
  readonly maximumNewTokens?: number;
  /** Of the random stream that draws tokens; equal seeds draw equally. @default 0 */
  readonly seed?: number | string;
  /** Texts that end the answer and are not part of it. */
  readonly stop?: readonly string[];
  /** Ids that end the answer. @default the model's `endIds` */
  readonly endIds?: readonly number[];
  readonly constraint?: TokenConstraint;
  /** The active segments of this prompt's task. */
  readonly segments?: SegmentsByLayer;
  /** Features of the image before the prompt. */
  readonly image?: Float32Array;
  /** Also report each token's log-probability under the model, before any option. */
  readonly logProbabilities?: boolean;
}

export interface GenerationEvent {
  readonly id: number;
  /** The text that this token makes certain: whole characters, perhaps none. */
  readonly text: string;
  readonly logProbability?: number;
}

export interface GenerationResult {
  /** Of the answer, without an end token. */
  readonly ids: readonly number[];
  readonly text: string;
  /** An end token, a stop sequence, the limit of tokens or positions, or the caller's signal. */
  readonly finish: 'end' | 'stop' | 'length' | 'aborted';
  readonly promptTokens: number;
  /** Of the prompt, those that an earlier turn of the conversation had read. */
  readonly cachedTokens: number;
}

/** A prompt: text (with the begin token, where the model's tokenizer adds it), or ids as they are. */
export type Prompt = string | readonly number[];

export interface GenerateControl {
  /** Ends all answers after the token that is under way. */
  readonly signal?: AbortSignal | undefined;
}

export interface TurnControl extends GenerateControl {
  /** Of which this is the next turn: what it has read of the prompt is not read again. */
  readonly conversation?: Conversation | undefined;
}

/**
 * Generates an answer, one event a token; the return value is the whole. Ends early by `return()` or the signal.
 *
 * Memory beside the model: keys and values of prompt and answer (see `openCache`) and one row of logits.
 *
 * @throws Error when the prompt is empty, leaves no position for an answer, or an option is out of range.
 */
export async function* generate(
  model: LoadedModel,
  prompt: Prompt,
  { signal, conversation, ...options }: GenerateOptions & TurnControl = {},
): AsyncGenerator<GenerationEvent, GenerationResult> {
  const rows = generateRows(model, [{ prompt, ...options }], { signal, conversation });
  for (;;) {
    const { done, value } = await rows.next();
    if (done) return value[0]!;
    const { id, text, logProbability: of } = value;
    yield { id, text, ...(of === undefined ? {} : { logProbability: of }) };
  }
}

export interface GenerateRequest extends GenerateOptions {
  readonly prompt: Prompt;
}

export interface RowEvent extends GenerationEvent {
  /** Index of the request. */
  readonly row: number;
}

interface Row {
  readonly index: number;
  readonly options: GenerateRequest;
  readonly promptIds: readonly number[];
  readonly ids: number[];
  readonly endIds: readonly number[];
  readonly stream: ReturnType<typeof openTextStream>;
  readonly random: ReturnType<typeof keyedRandom>;
  readonly constraint: ConstraintState | undefined;
  readonly limit: number;
  text: string;
  finish: GenerationResult['finish'] | undefined;
}

/**
 * Answers several prompts in one batch; each row equals what it would be alone. A row that has ended costs nothing more.
 *
 * Rows with one map of segments are put side by side, so that every segment is multiplied once a pass.
 */
export function generateBatch(
  model: LoadedModel,
  requests: readonly GenerateRequest[],
  { signal }: GenerateControl = {},
): AsyncGenerator<RowEvent, GenerationResult[]> {
  return generateRows(model, requests, { signal });
}

/** Both of the above; a conversation is for one request. */
async function* generateRows(
  model: LoadedModel,
  requests: readonly GenerateRequest[],
  { signal, conversation }: TurnControl,
): AsyncGenerator<RowEvent, GenerationResult[]> {
  if (requests.length === 0) return [];
  const all = requests.map((options, index) => openRow(model, options, index));
  let active = groupBySegments(all.filter(({ limit }) => limit > 0));
  for (const row of all) if (row.limit <= 0) row.finish = 'length';
  const longest = Math.max(...all.map(({ promptIds: ids, limit }) => ids.length + Math.min(limit, 64)));
  const cache = conversation?.cache ?? openCache(model, { batch: active.length, capacity: longest });
  const cachedTokens = conversation && all[0] ? conversation.resume(all[0].promptIds, all[0].options) : 0;
  if (conversation) cache.reserve(Math.min(longest, model.rotary.time));
  try {
    let isFirst = true;
    while (active.length > 0) {
      if (signal?.aborted) {
        for (const row of active) row.finish = 'aborted';
        break;
      }
      const inputs = active.map(({ promptIds: prompt, ids, options: { image, segments } }): CachedRow => {
        const next = isFirst ? prompt.slice(cachedTokens) : ids.slice(-1);
        // An earlier turn may have read the image.
        const isSeen =
          !isFirst || (cachedTokens > 0 && !next.includes(model.spec.vision?.imageTokenId ?? -1));
        return { ids: next, ...(isSeen ? {} : { image }), segments };
      });
      const logits = await cachedLogits(model, inputs, cache);
      isFirst = false;
      for (const [i, row] of active.entries()) {
        const event = takeToken(row, logits[i]![0]!);
        if (event) yield event;
      }
      const kept = [...active.keys()].filter((i) => active[i]!.finish === undefined);
      if (kept.length === 0) break;
      if (kept.length < active.length) {
        cache.select(kept);
        active = kept.map((i) => active[i]!);
      }
      // A pass is synchronous: without this, no signal or key press would be seen before the end.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    if (conversation)
      for (const { promptIds: prompt, ids, options } of all) conversation.keep([...prompt, ...ids], options);
    else cache.dispose();
  }
  return all.map(({ ids, text, finish = 'aborted', promptIds: prompt }) => ({
    ids,
    text,
    finish,
    promptTokens: prompt.length,
    cachedTokens,
  }));
}

function openRow(model: LoadedModel, options: GenerateRequest, index: number): Row {
  const { prompt, maximumNewTokens = 128, stop = [], seed = 0, image } = options;
  requireSampling(options);
  if (!(Number.isInteger(maximumNewTokens) && maximumNewTokens >= 0))
    throw new Error(
      `model/generate: maximumNewTokens must be 0 or a positive integer, got ${maximumNewTokens}`,
    );
  if (stop.includes('')) throw new Error('model/generate: a stop sequence must not be empty');
  const ids =
    typeof prompt === 'string'
      ? promptIds(model, { prompt, answer: '', ...(image ? { image: 'given' } : {}) })
      : prompt;
  if (ids.length === 0)
    throw new Error('model/generate: the prompt has no token, and this model has no begin token');
  const { vocabularySize } = model.spec.text;
  const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabularySize));
  if (wrong !== undefined)
    throw new Error(
      `model/generate: the prompt has id ${wrong}, and the vocabulary ${vocabularySize} tokens`,
    );
  const positions = model.rotary.time;
  if (ids.length > positions)
    throw new Error(
      `model/generate: the prompt has ${ids.length} tokens, and the model ${positions} positions; shorten it`,
    );
  // The last token of an answer needs no position of its own.
  const limit = Math.min(maximumNewTokens, positions - ids.length + 1);
  const needed = options.constraint?.minimumTokens ?? 0;
  if (needed > limit)
    throw new Error(
      `model/generate: an answer of the form asked for may need ${needed} tokens, and ${limit} are allowed; raise maximumNewTokens or shorten the prompt`,
    );
  return {
    index,
    options,
    promptIds: ids,
    ids: [],
    endIds: options.endIds ?? model.endIds,
    stream: openTextStream(model.tokenizer, stop),
    random: keyedRandom(seed, 'generate'),
    constraint: options.constraint?.start(),
    limit,
    text: '',
    finish: undefined,
  };
}

/** Chooses a row's next token and says what it adds, or that the row has ended. */
function takeToken(row: Row, logits: Float32Array): RowEvent | undefined {
  const { options, ids, stream, constraint } = row;
  const allowed = constraint && allowedBy(constraint, row, logits.length);
  const scores = processLogits(logits, [...row.promptIds, ...ids], options, allowed);
  const id = (options.temperature ?? 0) > 0 ? drawToken(scores, row.random) : likeliest(scores);
  if (id < 0)
    throw new Error(
      allowed && !allowed.includes(1)
        ? 'model/generate: no token of the vocabulary continues the answer in the form that is asked for'
        : 'model/generate: the model gives no number for any token; its weights may be damaged',
    );
  const event = (text: string): RowEvent => {
    row.text += text;
    return {
      row: row.index,
      id,
      text,
      ...(options.logProbabilities ? { logProbability: logProbability(logits, id) } : {}),
    };
  };
  if (row.endIds.includes(id)) {
    row.finish = 'end';
    const rest = stream.end();
    return rest === '' ? undefined : event(rest);
  }
  ids.push(id);
  constraint?.advance(id);
  let text = stream.push(id);
  const isLast = ids.length >= row.limit || constraint?.isComplete === true;
  if (isLast) text += stream.end();
  if (stream.stopped !== undefined) row.finish = 'stop';
  else if (constraint?.isComplete) row.finish = 'end';
  else if (isLast) row.finish = 'length';
  return event(text);
}

/** What a constraint leaves: tokens of the answer, and end tokens where it may end. */
function allowedBy(constraint: ConstraintState, { ids, limit, endIds }: Row, vocabulary: number): Uint8Array {
  const mask = new Uint8Array(vocabulary);
  constraint.allow(mask, limit - ids.length);
  if (constraint.mayEnd) for (const id of endIds) mask[id] = 1;
  return mask;
}

/** Rows with the same segments side by side, in the order in which each first comes. */
function groupBySegments(rows: readonly Row[]): Row[] {
  const groups = new Map<SegmentsByLayer | undefined, Row[]>();
  for (const row of rows) {
    const { segments } = row.options;
    groups.set(segments, [...(groups.get(segments) ?? []), row]);
  }
  return [...groups.values()].flat();
}
