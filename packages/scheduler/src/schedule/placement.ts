/** Who holds which layers: an ordered set of device groups, each with one contiguous range of layers (a stage). */

/** A device's part in a stage. */
export interface Member {
  readonly device: string;
  /** Share of every step's samples; the shares of a stage sum to 1, except where devices split the layers' work instead. */
  readonly share: number;
  /** Fraction of each layer's work and activations (tensor parallelism); 1 when absent. */
  readonly work?: number;
  /** Fraction of the parameters kept resident (sharded parameters); 1 when absent. */
  readonly parameters?: number;
  /** Fraction of the optimizer state kept; 1 when absent. */
  readonly optimizer?: number;
}

export interface Stage {
  /** First layer. */
  readonly start: number;
  /** One past the last layer. */
  readonly end: number;
  readonly members: readonly Member[];
}

/** One pipeline: the tasks it trains, in how many micro-batches a step is divided, and its stages in the order of the forward pass. */
export interface Placement {
  readonly tasks: readonly string[];
  readonly microbatches: number;
  readonly stages: readonly Stage[];
}

/** Samples of micro-batch `index` when `samples` are divided into `microbatches` as evenly as whole samples allow. */
export const microbatchSamples = (samples: number, microbatches: number, index: number): number =>
  Math.floor(((index + 1) * samples) / microbatches) - Math.floor((index * samples) / microbatches);

/**
 * Deals a step's samples out to the members of a stage: `result[microbatch][member]` whole samples.
 *
 * Over the step every member gets its share rounded by largest remainder; within it samples go one by one to the member that lags most
 * behind its share, so that a small micro-batch does not always favour the same device.
 */
export function dealSamples(samples: number, microbatches: number, shares: readonly number[]): number[][] {
  const deal = Array.from({ length: microbatches }, () => new Array<number>(shares.length).fill(0));
  if (shares.length === 1) {
    for (let index = 0; index < microbatches; index++)
      deal[index]![0] = microbatchSamples(samples, microbatches, index);
    return deal;
  }
  const totals = apportion(samples, shares);
  const given = new Array<number>(shares.length).fill(0);
  let dealt = 0;
  for (const [index, row] of deal.entries()) {
    for (let left = microbatchSamples(samples, microbatches, index); left > 0; left--) {
      dealt += 1;
      let most = -1;
      let lag = -Infinity;
      for (let member = 0; member < shares.length; member++) {
        if (given[member]! >= totals[member]!) continue;
        const behind = (totals[member]! * dealt) / samples - given[member]!;
        if (behind > lag + 1e-12) [most, lag] = [member, behind];
      }
      given[most]! += 1;
      row[most]! += 1;
    }
  }
  return deal;
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

/** How a step's samples fall on a placement's members: `deal[task][stage][microbatch][member]`, tasks by their place in the placement. */
export type SampleDeal = readonly (readonly (readonly (readonly number[])[])[])[];

/** Devices that split every layer's work all handle every sample. */
export const splitsWork = (members: readonly Member[]): boolean => members.some(({ work = 1 }) => work < 1);

/** Deals the samples of all tasks. `samplesOf`: of one step of a task. `deal`: `dealSamples`, or one that remembers. */
export const dealPlacement = (
  { tasks, stages, microbatches }: Placement,
  samplesOf: (task: string) => number,
  deal: (samples: number, microbatches: number, shares: readonly number[]) => number[][] = dealSamples,
): SampleDeal =>
  tasks.map((name) =>
    stages.map(({ members }) =>
      splitsWork(members)
        ? dealSamples(samplesOf(name), microbatches, [1]).map(([all]) => members.map(() => all!))
        : deal(
            samplesOf(name),
            microbatches,
            members.map(({ share }) => share),
          ),
    ),
  );

/** What falls to one member of a stage over a step. */
export interface MemberLoad {
  readonly samples: number;
  /** Micro-batches of which it handles a part, and the smallest and largest of these parts; 0 where it handles none. */
  readonly microbatches: number;
  readonly least: number;
  readonly most: number;
}

/** Of each member, from a stage's deal `rows[microbatch][member]`. */
export const memberLoads = (rows: readonly (readonly number[])[]): MemberLoad[] =>
  (rows[0] ?? []).map((_, member) => {
    let [samples, microbatches, least, most] = [0, 0, Infinity, 0];
    for (const row of rows) {
      const part = row[member]!;
      if (part === 0) continue;
      samples += part;
      microbatches += 1;
      least = Math.min(least, part);
      most = Math.max(most, part);
    }
    return { samples, microbatches, least: microbatches === 0 ? 0 : least, most };
  });
