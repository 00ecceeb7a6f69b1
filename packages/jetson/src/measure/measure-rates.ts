/** How fast a machine computes a layer: FLOP/s by kind of work. */
import type { ComputeRates } from '@contextlora/scheduler';

import { type Timing, undisturbed } from './undisturbed.js';

/** Kinds of work, as the scheduler prices them. */
export type WorkKind = keyof ComputeRates;

/** A layer whose passes can be run and whose work is known. */
export interface MeasurableLayer {
  forward(tokens: number): void;
  /** The gradient of the input alone, as in a layer that trains nothing. */
  backwardInput(tokens: number): void;
  /** The gradients of input and weights. */
  backwardBoth(tokens: number): void;
  flops(kind: WorkKind, tokens: number): number;
}

/** A rate that was measured; quartiles are of the repetitions. */
export interface MeasuredRate {
  readonly flopsPerSecond: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly repetitions: number;
  /** The rate of input gradients, taken for weight gradients whose time was too short to be told from what disturbed it. */
  readonly assumed?: true;
}

export type MeasuredRates = Readonly<Record<WorkKind, MeasuredRate>> & {
  readonly tokens: number;
  readonly seconds: number;
  /** Whether every spread came below the tolerance within the budget. */
  readonly settled: boolean;
  /** Share of the rounds that did not count, because the process had to wait for a processor. */
  readonly disturbedShare: number;
};

export interface MeasureRatesOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly budgetSeconds: number;
  /** Measuring ends once (upper − lower quartile) / median of the times is at most this for all kinds. */
  readonly tolerance: number;
  readonly tokens?: number;
  /** Processor time of this process so far: then rounds that had to wait for a processor do not count, where others are enough. */
  readonly cpuSeconds?: () => number;
}

type Round = Record<WorkKind, number> & Timing;

const kinds = ['forward', 'input', 'weight'] as const;
const fewestRounds = 5;
/** Short passes are repeated until a timing is this long: clocks of processor time go in ticks of some milliseconds. */
const leastTimingSeconds = 0.04;
const mostRepeats = 64;

/**
 * Measures forward, input and weight rates in interleaved rounds, so that what disturbs one disturbs all.
 *
 * A round's weight time is that of both gradients less that of the input's. The first two rounds warm up and do not count; five are
 * measured even where the budget is spent before.
 *
 * @throws if budget, tolerance, tokens or the layer's work are no positive numbers, or if a kind takes no time by this clock.
 */
export function measureRates(
  layer: MeasurableLayer,
  { clock, budgetSeconds, tolerance, tokens = 256, cpuSeconds }: MeasureRatesOptions,
): MeasuredRates {
  const work = checkedWork('measureRates', layer, tokens, { budgetSeconds, tolerance });
  let repeats = 1;
  const timed = (pass: 'forward' | 'backwardInput' | 'backwardBoth'): number => {
    const start = clock();
    for (let repeat = 0; repeat < repeats; repeat++) layer[pass](tokens);
    return (clock() - start) / repeats;
  };
  const measureRound = (): Round => {
    const cpuBefore = cpuSeconds?.();
    const [forward, input, both] = [timed('forward'), timed('backwardInput'), timed('backwardBoth')];
    return {
      forward,
      input,
      weight: both - input,
      seconds: repeats * (forward + input + both),
      cpuSeconds: cpuBefore === undefined ? undefined : cpuSeconds!() - cpuBefore,
    };
  };

  measureRound();
  const first = measureRound();
  repeats = Math.min(mostRepeats, Math.max(1, Math.ceil(leastTimingSeconds / first.forward)));
  const start = clock();
  const rounds: Round[] = [];
  const counted = () => undisturbed(rounds, fewestRounds);
  const timesOf = (kind: WorkKind) => quartiles(counted().map((round) => round[kind]));
  const isSettled = () =>
    rounds.length >= fewestRounds &&
    kinds.every((kind) => {
      const [low, middle, high] = timesOf(kind);
      return middle > 0 && (high - low) / middle <= tolerance;
    });
  const mayGoOn = () => {
    const spent = clock() - start;
    // A clock that stands still would never spend the budget.
    return rounds.length < fewestRounds || (spent > 0 && spent < budgetSeconds);
  };
  while (mayGoOn() && !isSettled()) rounds.push(measureRound());

  const rateOf = (kind: WorkKind): MeasuredRate => {
    const [low, median, high] = timesOf(kind);
    const middle = kind === 'weight' && median <= 0 ? weightByQuickRounds(counted()) : median;
    if (!(middle > 0))
      throw new Error(
        `jetson/measureRates: ${kind} took ${middle} s for ${tokens} tokens; measure longer (the machine may be busy), more tokens at a time, or with a finer clock`,
      );
    return {
      flopsPerSecond: work[kind] / middle,
      lowerQuartile: work[kind] / Math.max(high, middle),
      // A difference of two times may come out at nothing.
      upperQuartile: work[kind] / (low > 0 ? low : middle),
      repetitions: counted().length,
    };
  };
  const [forward, input] = [rateOf('forward'), rateOf('input')];
  const isWeightHidden = timesOf('weight')[1] <= 0 && weightByQuickRounds(counted()) <= 0;
  return {
    forward,
    input,
    weight: isWeightHidden ? { ...input, assumed: true } : rateOf('weight'),
    tokens,
    seconds: clock() - start,
    settled: isSettled(),
    disturbedShare: 1 - counted().length / rounds.length,
  };
}

/** Where other work on the machine hides a small difference: quick rounds are the least disturbed. */
function weightByQuickRounds(rounds: readonly Round[]): number {
  const [both] = quartiles(rounds.map(({ input, weight }) => input + weight));
  const [input] = quartiles(rounds.map((round) => round.input));
  return both - input;
}

/** FLOPs of a pass by kind, and a complaint about every number that is not above 0. */
export function checkedWork(
  where: string,
  layer: MeasurableLayer,
  tokens: number,
  numbers: Readonly<Record<string, number>>,
): Record<WorkKind, number> {
  const work = {
    forward: layer.flops('forward', tokens),
    input: layer.flops('input', tokens),
    weight: layer.flops('weight', tokens),
  };
  const problems = Object.entries({
    tokens,
    ...numbers,
    'flops of forward': work.forward,
    'flops of input': work.input,
    'flops of weight': work.weight,
  })
    .filter(([, value]) => !(value > 0 && Number.isFinite(value)))
    .map(([name, value]) => `${name} must be a number above 0, got ${value}`);
  if (problems.length > 0) throw new Error(`jetson/${where}: ${problems.join('; ')}`);
  return work;
}

/** [lower quartile, median, upper quartile], interpolated. */
export function quartiles(values: readonly number[]): [number, number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(place)] ?? NaN, sorted[Math.ceil(place)] ?? NaN];
    return low + (high - low) * (place - Math.floor(place));
  };
  return [at(0.25), at(0.5), at(0.75)];
}
