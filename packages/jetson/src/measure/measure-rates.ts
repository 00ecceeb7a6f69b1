/** How fast a machine computes a layer: FLOP/s by kind of work. */
import { JetsonError } from '../jetson-error.js';
import { checkedWork, type MeasurableLayer, type WorkKind } from './measurable-layer.js';
import { quartiles } from './quartiles.js';
import { type Timing, undisturbed } from './undisturbed.js';

/** A measured rate with quartiles over the repetitions. */
export interface MeasuredRate {
  readonly flopsPerSecond: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly repetitions: number;
  /** Set on the weight rate if it is the input rate, because the weight gradients' time was lost in the noise. */
  readonly assumed?: true;
}

export type MeasuredRates = Readonly<Record<WorkKind, MeasuredRate>> & {
  readonly tokens: number;
  readonly seconds: number;
  /** Whether the spread of every kind fell below the tolerance within the budget. */
  readonly settled: boolean;
  /** Share of the rounds that do not count because the process had to wait for a processor. */
  readonly disturbedShare: number;
};

export interface MeasureRatesOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly budgetSeconds: number;
  /** Stops once (upper − lower quartile) / median of the times is at most this for all kinds. */
  readonly tolerance: number;
  readonly tokens?: number;
  /** Processor time of this process so far; with it, rounds that waited for a processor do not count if enough others remain. */
  readonly cpuSeconds?: () => number;
}

type Round = Record<WorkKind, number> & Timing;

const kinds = ['forward', 'input', 'weight'] as const;
const minimumRounds = 5;
/** Short passes are repeated until a timing takes this long, because clocks of processor time tick in milliseconds. */
const minimumTimingSeconds = 0.04;
const maxRepeats = 64;

/**
 * Measures forward, input and weight rates in interleaved rounds, so that a disturbance affects all three.
 *
 * A round's weight time is the time of both gradients minus that of the input gradient. Two warm-up rounds do not count; at least five are
 * measured, even beyond the budget.
 *
 * @throws JetsonError if budget, tolerance, tokens or the layer's work is not a positive number, or a kind takes no time by this clock.
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
      cpuSeconds: cpuSeconds && cpuBefore !== undefined ? cpuSeconds() - cpuBefore : undefined,
    };
  };

  measureRound();
  const first = measureRound();
  repeats = Math.min(maxRepeats, Math.max(1, Math.ceil(minimumTimingSeconds / first.forward)));
  const start = clock();
  const rounds: Round[] = [];
  const counted = () => undisturbed(rounds, minimumRounds);
  const timesOf = (kind: WorkKind) => quartiles(counted().map((round) => round[kind]));
  const isSettled = () =>
    rounds.length >= minimumRounds &&
    kinds.every((kind) => {
      const [low, middle, high] = timesOf(kind);
      return middle > 0 && (high - low) / middle <= tolerance;
    });
  const mayContinue = () => {
    const spent = clock() - start;
    // A stopped clock would never use up the budget.
    return rounds.length < minimumRounds || (spent > 0 && spent < budgetSeconds);
  };
  while (mayContinue() && !isSettled()) rounds.push(measureRound());

  const rateOf = (kind: WorkKind): MeasuredRate => {
    const [low, median, high] = timesOf(kind);
    const middle = kind === 'weight' && median <= 0 ? weightByQuickRounds(counted()) : median;
    if (!(middle > 0))
      throw new JetsonError(
        'JETSON_MEASUREMENT_TOO_SHORT',
        'measureRates',
        `${kind} took ${middle} s for ${tokens} tokens; measure longer (the machine may be busy), more tokens at a time, or with a finer clock`,
      );
    return {
      flopsPerSecond: work[kind] / middle,
      lowerQuartile: work[kind] / Math.max(high, middle),
      // A difference of two times may not be positive.
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

/** The weight time from the quick rounds, which are least disturbed; for when other work hides the small difference. */
function weightByQuickRounds(rounds: readonly Round[]): number {
  const [both] = quartiles(rounds.map(({ input, weight }) => input + weight));
  const [input] = quartiles(rounds.map((round) => round.input));
  return both - input;
}
