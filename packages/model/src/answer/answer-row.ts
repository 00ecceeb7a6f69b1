/** One answer as it grows: its prompt and options, the ids so far, and the choice of the next one. */
import { keyedRandom } from '@contextlora/lora';

import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import { positionLimit } from '../pass/require-positions.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { idsOf, requirePrompt } from '../text/example.js';
import { openTextStream } from '../text/stream.js';
import type { ConstraintState, TokenConstraint } from './constraint.js';
import {
  drawToken,
  likeliest,
  logProbability,
  processLogits,
  requireSampling,
  type SamplingOptions,
} from './sampling.js';

/** A prompt: text (the begin token is added if the model's tokenizer does so), or ids as they are. */
export type Prompt = string | readonly number[];

export interface GenerateOptions extends SamplingOptions {
  /** @default 128 */
  readonly maximumNewTokens?: number;
  /** The seed of the random stream that draws tokens; equal seeds draw equally. @default 0 */
  readonly seed?: number | string;
  /** Texts that end the answer and are not part of it. */
  readonly stop?: readonly string[];
  /** Ids that end the answer. @default the model's `endIds` */
  readonly endIds?: readonly number[];
  readonly constraint?: TokenConstraint;
  /** The active segments for this prompt. */
  readonly segments?: SegmentsByLinear;
  /** The features of the image before the prompt. */
  readonly image?: Float32Array;
  /** The features of the sounds in the prompt, in order. */
  readonly audio?: Float32Array;
  /** Also report each token's log-probability under the model, before any sampling option. */
  readonly logProbabilities?: boolean;
}

export interface GenerateRequest extends GenerateOptions {
  readonly prompt: Prompt;
}

export interface GenerationEvent {
  readonly id: number;
  /** The text that this token makes certain: whole characters, possibly none. */
  readonly text: string;
  readonly logProbability?: number;
}

export interface RowEvent extends GenerationEvent {
  /** The index of the request. */
  readonly row: number;
}

export interface AnswerRow {
  readonly options: GenerateRequest;
  readonly promptIds: readonly number[];
  readonly ids: readonly number[];
  readonly text: string;
  /** The most tokens the answer may have. */
  readonly limit: number;
  /** Why the answer ended: an end token, a stop sequence, or the limit of tokens or positions. */
  readonly finish: 'end' | 'stop' | 'length' | undefined;
  /** Chooses the next token; returns its event, or undefined if an end token added no text. @throws ModelError when no token can follow. */
  take(logits: Float32Array): RowEvent | undefined;
}

/**
 * Opens the answer to the request with this index.
 *
 * @throws ModelError when an option is out of range, or the prompt is empty or leaves no room for an answer.
 */
export function openAnswerRow(model: LoadedModel, options: GenerateRequest, index: number): AnswerRow {
  const prompt = readPrompt(model, options);
  const { maximumNewTokens = 128, stop = [], seed = 0, endIds = model.endIds, temperature = 0 } = options;
  // The last token of an answer needs no position of its own.
  const limit = Math.min(maximumNewTokens, model.rotary.time - prompt.length + 1);
  const needed = options.constraint?.minimumTokens ?? 0;
  if (needed > limit)
    throw new ModelError(
      'MODEL_CONTEXT_FULL',
      'generate',
      `an answer of the required form may need ${needed} tokens, but ${limit} are allowed; raise maximumNewTokens or shorten the prompt`,
    );
  const ids: number[] = [];
  const stream = openTextStream(model.tokenizer, stop);
  const random = keyedRandom(seed, 'generate');
  const constraint = options.constraint?.start();
  let answer = '';
  let finish: AnswerRow['finish'] = limit <= 0 ? 'length' : undefined;
  return {
    options,
    promptIds: prompt,
    ids,
    limit,
    get text() {
      return answer;
    },
    get finish() {
      return finish;
    },
    take(logits) {
      const allowed =
        constraint && allowedBy(constraint, { remaining: limit - ids.length, endIds, size: logits.length });
      const scores = processLogits(logits, [...prompt, ...ids], options, allowed);
      const id = temperature > 0 ? drawToken(scores, random) : likeliest(scores);
      if (id < 0)
        throw new ModelError(
          'MODEL_NO_TOKEN',
          'generate',
          allowed && !allowed.includes(1)
            ? 'no token of the vocabulary continues the answer in the required form'
            : 'the model gives no number for any token; its weights may be damaged',
        );
      const event = (text: string): RowEvent => {
        answer += text;
        return {
          row: index,
          id,
          text,
          ...(options.logProbabilities ? { logProbability: logProbability(logits, id) } : {}),
        };
      };
      if (endIds.includes(id)) {
        finish = 'end';
        const rest = stream.end();
        return rest === '' ? undefined : event(rest);
      }
      ids.push(id);
      constraint?.advance(id);
      let text = stream.push(id);
      const isLast = ids.length >= limit || constraint?.isComplete === true;
      if (isLast) text += stream.end();
      if (stream.stopped !== undefined) finish = 'stop';
      else if (constraint?.isComplete) finish = 'end';
      else if (isLast) finish = 'length';
      return event(text);
    },
  };
}

/** Checks a request and returns the ids of its prompt. */
function readPrompt(model: LoadedModel, options: GenerateRequest): readonly number[] {
  const invalid = (what: string) => new ModelError('MODEL_INPUT_INVALID', 'generate', what);
  const { prompt, maximumNewTokens = 128, stop = [], image, audio } = options;
  requireSampling(options);
  if (!(Number.isInteger(maximumNewTokens) && maximumNewTokens >= 0))
    throw invalid(`maximumNewTokens must be 0 or a positive integer, got ${maximumNewTokens}`);
  if (stop.includes('')) throw invalid('a stop sequence must not be empty');
  const ids =
    typeof prompt === 'string'
      ? idsOf(model, prompt, {
          hasImage: image !== undefined,
          ...(audio ? { audioTokens: audio.length / model.spec.text.hiddenSize } : {}),
        })
      : prompt;
  requirePrompt(ids, 'generate');
  const { vocabularySize } = model.spec.text;
  const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabularySize));
  if (wrong !== undefined)
    throw invalid(`the prompt has id ${wrong}, but the vocabulary has ${vocabularySize} tokens`);
  if (ids.length > model.rotary.time)
    throw new ModelError(
      'MODEL_CONTEXT_FULL',
      'generate',
      `the prompt has ${ids.length} tokens, but the model has ${positionLimit(model)}; shorten it`,
    );
  return ids;
}

/** The tokens that a constraint leaves: those of the answer, and end tokens if it may end. */
function allowedBy(
  constraint: ConstraintState,
  { remaining, endIds, size }: { remaining: number; endIds: readonly number[]; size: number },
): Uint8Array {
  const mask = new Uint8Array(size);
  constraint.allow(mask, remaining);
  if (constraint.mayEnd) for (const id of endIds) mask[id] = 1;
  return mask;
}
