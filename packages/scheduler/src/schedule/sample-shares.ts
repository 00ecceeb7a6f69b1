/** How a step's samples fall on the members of each stage, in whole samples, and which of them neighbouring stages exchange. */
import { type Member, splitsWork } from './placement.js';

/** Samples of each task, stage, micro-batch and member: `shares[task][stage][microbatch][member]`, tasks by their place in the placement. */
export type SampleShares = readonly (readonly (readonly (readonly number[])[])[])[];

/** Samples of micro-batch `index` when `samples` are divided into `microbatches` as evenly as whole samples allow. */
const microbatchSamples = (samples: number, microbatches: number, index: number): number =>
  Math.floor(((index + 1) * samples) / microbatches) - Math.floor((index * samples) / microbatches);

/**
 * Splits a step's samples among the members of a stage: `result[microbatch][member]`.
 *
 * Over the step every member gets its share, rounded by largest remainder. Within it each sample goes to the member that lags most behind
 * its share, so that small micro-batches do not always favour the same device.
 */
function splitSamples(samples: number, microbatches: number, shares: readonly number[]): number[][] {
  const rows = Array.from({ length: microbatches }, () => new Array<number>(shares.length).fill(0));
  if (shares.length === 1) {
    for (let index = 0; index < microbatches; index++)
      rows[index]![0] = microbatchSamples(samples, microbatches, index);
    return rows;
  }
  const totals = apportion(samples, shares);
  const given = new Array<number>(shares.length).fill(0);
  let givenInAll = 0;
  for (const [index, row] of rows.entries()) {
    for (let left = microbatchSamples(samples, microbatches, index); left > 0; left--) {
      givenInAll += 1;
      let most = -1;
      let lag = -Infinity;
      for (let member = 0; member < shares.length; member++) {
        if (given[member]! >= totals[member]!) continue;
        const behind = (totals[member]! * givenInAll) / samples - given[member]!;
        if (behind > lag + 1e-12) [most, lag] = [member, behind];
      }
      given[most]! += 1;
      row[most]! += 1;
    }
  }
  return rows;
}

/** Whole numbers in proportion to the weights that sum to `total`, by largest remainder. */
export function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map((weight) => (total * weight) / sum);
  // A share that is a whole number but for rounding errors stays that number.
  const whole = exact.map((value) => Math.floor(value + 1e-9));
  const order = exact
    .map((value, index) => ({ index, rest: value - whole[index]! }))
    .sort((a, b) => b.rest - a.rest || a.index - b.index);
  let left = total - whole.reduce((a, b) => a + b, 0);
  for (const { index } of order) {
    if (left <= 0) break;
    whole[index]! += 1;
    left -= 1;
  }
  return whole;
}

/** How a step's samples fall on the members of one stage: `result[microbatch][member]`. */
export const stageSharesOf = (
  samples: number,
  microbatches: number,
  members: readonly Member[],
): SampleShares[number][number] =>
  splitsWork(members)
    ? splitSamples(samples, microbatches, [1]).map(([all]) => members.map(() => all!))
    : splitSamples(
        samples,
        microbatches,
        members.map(({ share }) => share),
      );

/** What a member of a stage handles in a step. */
export interface MemberLoad {
  readonly samples: number;
  /** Micro-batches of which it handles a part. */
  readonly microbatches: number;
  /** How many of these parts have how many samples. */
  readonly sizes: ReadonlyMap<number, number>;
  /** Samples of the smallest and the largest of them; 0 where there are none. */
  readonly least: number;
  readonly most: number;
}

/** The load of each member, from its stage's shares `rows[microbatch][member]`. */
export const memberLoads = (rows: readonly (readonly number[])[]): MemberLoad[] =>
  (rows[0] ?? []).map((_, member) => {
    let [samples, microbatches, least, most] = [0, 0, Infinity, 0];
    const sizes = new Map<number, number>();
    for (const row of rows) {
      const part = row[member]!;
      if (part === 0) continue;
      sizes.set(part, (sizes.get(part) ?? 0) + 1);
      samples += part;
      microbatches += 1;
      least = Math.min(least, part);
      most = Math.max(most, part);
    }
    return { samples, microbatches, sizes, least: microbatches === 0 ? 0 : least, most };
  });

export interface Partner {
  /** Index of the member in its stage. */
  readonly member: number;
  readonly samples: number;
}

/**
 * The members of stage `other` that handle samples of the micro-batch which this member handles too.
 *
 * Members take contiguous samples in their order.
 */
export function partnersOf(
  shares: SampleShares,
  task: number,
  microbatch: number,
  { stage, member, other }: { stage: number; member: number; other: number },
): Partner[] {
  const ours = shares[task]![stage]![microbatch]!;
  let start = 0;
  for (let before = 0; before < member; before++) start += ours[before]!;
  const end = start + ours[member]!;
  const found: Partner[] = [];
  let from = 0;
  for (const [index, samples] of shares[task]![other]![microbatch]!.entries()) {
    const common = Math.min(end, from + samples) - Math.max(start, from);
    if (common > 0) found.push({ member: index, samples: common });
    from += samples;
  }
  return found;
}
