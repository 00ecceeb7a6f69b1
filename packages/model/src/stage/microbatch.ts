/** A micro-batch as it travels between devices: plain JSON, in two parts, of which only the first stage reads texts. */
import type { Example } from '../text/example.js';
import type { ModelText } from '../text/model-text.js';
import { lossesOf, openPreparation, type PreparationOptions } from '../training/batch-loss.js';
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
  /** SHA-256 of each row's tokens and image. */
  readonly sequences: readonly string[];
  /** Stands for what else the output below the lowest layer that trains depends on (`lowerLayersKey`); without it nothing is cached. */
  readonly lowerKey?: string;
}

/** What the first stage reads. */
export interface MicrobatchTokens {
  /** The ids of each row, without padding. */
  readonly rows: readonly (readonly number[])[];
  /** The path of each row's image, or the key of features that the stage is given. */
  readonly images: readonly (string | null)[];
  /** The id that rows are padded with. */
  readonly padId: number;
}

export interface Microbatch {
  readonly header: MicrobatchHeader;
  readonly tokens: MicrobatchTokens;
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
  { maximumNewTokens = 128, promptLoss = false }: Partial<PreparationOptions> = {},
): PrepareMicrobatches {
  const prepare = openPreparation(text, { maximumNewTokens, promptLoss });
  const { padId } = text.tokenizer;
  return (task, microBatches, { lowerKey } = {}) => {
    const count = microBatches.reduce((sum, batch) => sum + batch.length, 0);
    return microBatches
      .filter((examples) => examples.length > 0)
      .map((examples) => {
        const prepared = examples.map(prepare);
        const lengths = prepared.map(({ ids }) => ids.length);
        const time = Math.max(...lengths);
        return {
          header: {
            task,
            batch: examples.length,
            time,
            lengths,
            hasImages: examples.some(({ image }) => image !== undefined),
            losses: lossesOf(prepared, { time, weight: 1 / count }),
            sequences: prepared.map(({ sequence }) => sequence),
            ...(lowerKey === undefined ? {} : { lowerKey }),
          },
          tokens: {
            rows: prepared.map(({ ids }) => ids),
            images: examples.map(({ image = null }) => image),
            padId,
          },
        };
      });
  };
}
