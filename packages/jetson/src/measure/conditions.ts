/** A machine's temperature, clocks and power during a measurement, and how they change. */
import type { DeviceSample } from '../sensors/sample-device.js';
import { hottestOf } from '../sensors/read-temperatures.js';
import { quartiles } from './quartiles.js';

/** Conditions at one moment; what the machine does not report is absent. */
export interface Conditions {
  readonly atSeconds: number;
  /** Of the hottest sensor. */
  readonly celsius?: number;
  readonly gpuHertz?: number;
  /** Mean over the cores that are on. */
  readonly coreHertz?: number;
  readonly watts?: number;
}

/** Medians of the first and the last third of a series. */
export interface Change {
  readonly first: number;
  readonly last: number;
}

export type Throttling = Readonly<Partial<Record<keyof Omit<Conditions, 'atSeconds'>, Change>>>;

/** Extracts temperature, clocks and power from a sample. */
export function conditionsOf({ atSeconds, temperatures, clocks, power }: DeviceSample): Conditions {
  const hottest = hottestOf(temperatures);
  const hertz = clocks.cores.map((core) => core.hertz);
  return {
    atSeconds,
    ...(hottest && { celsius: hottest.celsius }),
    ...(clocks.gpuHertz !== undefined && { gpuHertz: clocks.gpuHertz }),
    ...(hertz.length > 0 && { coreHertz: hertz.reduce((sum, core) => sum + core, 0) / hertz.length }),
    ...(power.total && { watts: power.total.watts }),
  };
}

/** Computes how the conditions changed; a figure seen fewer than three times is absent. */
export function throttlingOf(conditions: readonly Conditions[]): Throttling {
  const kinds = ['celsius', 'gpuHertz', 'coreHertz', 'watts'] as const;
  return Object.fromEntries(
    kinds.flatMap((kind) => {
      const values = conditions.flatMap(({ [kind]: value }) => (value === undefined ? [] : [value]));
      return values.length < 3 ? [] : [[kind, changeOf(values)]];
    }),
  );
}

/** Compares the first with the last third of a series of at least three values. */
export function changeOf(values: readonly number[]): Change {
  const third = Math.floor(values.length / 3);
  const [, first] = quartiles(values.slice(0, third));
  const [, last] = quartiles(values.slice(-third));
  return { first, last };
}
