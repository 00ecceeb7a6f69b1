/** What was measured of a machine as the scheduler takes it. */
import type { DeviceProfile } from '@contextlora/scheduler';

import type { MeasuredRates, WorkKind } from './measure-rates.js';

export interface MeasuredDeviceOptions {
  readonly id: string;
  /** What training may use: what is available, and not what is built in. */
  readonly memoryBytes: number;
  readonly sustainedShare?: number;
  /** While computing. */
  readonly watts?: number;
  readonly idleWatts?: number;
  /** Of a compute instruction. */
  readonly overheadSeconds?: number;
}

/** The medians of the rates, and beside them what else is known. */
export function measuredDevice(
  rates: Readonly<Record<WorkKind, Pick<MeasuredRates[WorkKind], 'flopsPerSecond'>>>,
  { id, memoryBytes, ...known }: MeasuredDeviceOptions,
): DeviceProfile {
  return {
    id,
    flopsPerSecond: {
      forward: rates.forward.flopsPerSecond,
      input: rates.input.flopsPerSecond,
      weight: rates.weight.flopsPerSecond,
    },
    memoryBytes,
    ...known,
  };
}
