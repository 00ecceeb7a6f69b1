/** A micro-batch as it travels between devices: plain JSON, in two parts, of which only the first stage reads texts. */
import { ModelError } from '../model-error.js';
import type { Example } from '../text/example.js';
import type { ModelText } from '../text/model-text.js';
import { lossesOf, openPreparation, type PreparationOptions } from '../training/batch-loss.js';
import type { MicrobatchDropout } from '../pass/lora-dropout.js';
import type { LossTerms } from './loss-terms.js';

/** What every stage is told of a micro-batch. */
export interface MicrobatchHeader {
  readonly task: string;
  readonly batch: number;
  /** Positions of each row, with padding on the right. */
  readonly time: number;
  /** Tokens of each row. */
  readonly lengths: readonly number[];
  /** Whether a row has an image, so that a connector that trains gets a gradient. */
  readonly hasImages: boolean;
  /** The parts of the loss, which the last stage adds up. */
  readonly losses: readonly LossTerms[];
  /** SHA-256 of each row's tokens, image and sound. */
  readonly sequences: readonly string[];
  /** Absent where nothing is left out. */
  readonly dropout?: MicrobatchDropout;
  /** Stands for what else the output below the lowest layer that trains depends on (`lowerLayersKey`); without it nothing is cached. */
  readonly lowerKey?: string;
}

/** What the first stage reads. */
export interface MicrobatchTokens {
  /** The ids of each row, without padding. */
  readonly rows: readonly (readonly number[])[];
  /** The path of each row's image, or the key of features that the stage is given. */
  readonly images: readonly (string | null)[];
  /** The path of each row's sound; absent if none has one. */
  readonly sounds?: readonly (string | null)[];
  /** The id that rows are padded with. */
  readonly padId: number;
}

/** The picture and the sound of each row. */
export const filesOf = ({ images, sounds = [] }: MicrobatchTokens) =>
  images.map((image, row) => ({ image: image ?? undefined, audio: sounds[row] ?? undefined }));

export interface Microbatch {
  readonly header: MicrobatchHeader;
  readonly tokens: MicrobatchTokens;
}

/** LoRA dropout: the share of its inputs that the segment of each task leaves out of a step. */
export interface LoraDropout {
  readonly seed: number;
  /** From 0 up and below 1: one for all tasks, or by task. */
  readonly rate: number | Readonly<Record<string, number>>;
}

export interface MicrobatchOptions {
  readonly dropout?: LoraDropout | undefined;
}

/** Divides the loss of a step into micro-batches; those without an example are left out. */
export type PrepareMicrobatches = (
  task: string,
  microBatches: readonly (readonly Example[])[],
  options?: { readonly lowerKey?: string | undefined },
) => Microbatch[];

/**
 * Returns a function that turns the examples of a step into micro-batches, whose losses add up to the mean loss over all examples.
 *
 * @throws ModelError (`MODEL_INPUT_INVALID`), from that function, when an answer is not among its labels or is too long.
 */
export function openMicrobatches(
  text: ModelText,
  {
    maximumNewTokens = 128,
    promptLoss = false,
    dropout,
  }: Partial<PreparationOptions> & MicrobatchOptions = {},
): PrepareMicrobatches {
  const prepare = openPreparation(text, { maximumNewTokens, promptLoss });
  const { padId } = text.tokenizer;
  return (task, microBatches, { lowerKey } = {}) => {
    const count = microBatches.reduce((sum, batch) => sum + batch.length, 0);
    const rate = rateOf(dropout, task);
    let before = 0;
    return microBatches
      .filter((examples) => examples.length > 0)
      .map((examples) => {
        const prepared = examples.map(prepare);
        const lengths = prepared.map(({ ids }) => ids.length);
        const time = Math.max(...lengths);
        const firstRow = before;
        before += examples.length;
        return {
          header: {
            task,
            batch: examples.length,
            time,
            lengths,
            hasImages: examples.some(({ image }) => image !== undefined),
            losses: lossesOf(prepared, { time, weight: 1 / count }),
            sequences: prepared.map(({ sequence }) => sequence),
            ...(dropout && rate > 0 ? { dropout: { seed: dropout.seed, rate, firstRow } } : {}),
            ...(lowerKey === undefined ? {} : { lowerKey }),
          },
          tokens: {
            rows: prepared.map(({ ids }) => ids),
            images: examples.map(({ image = null }) => image),
            ...(examples.some(({ audio }) => audio !== undefined)
              ? { sounds: examples.map(({ audio = null }) => audio) }
              : {}),
            padId,
          },
        };
      });
  };
}

/** @throws ModelError (`MODEL_INPUT_INVALID`) when the rate is out of sense. */
function rateOf(dropout: LoraDropout | undefined, task: string): number {
  const rate = typeof dropout?.rate === 'object' ? (dropout.rate[task] ?? 0) : (dropout?.rate ?? 0);
  if (rate >= 0 && rate < 1) return rate;
  throw new ModelError(
    'MODEL_INPUT_INVALID',
    'openMicrobatches',
    `the dropout of task "${task}" is ${rate}; it must be from 0 up and below 1`,
  );
}
