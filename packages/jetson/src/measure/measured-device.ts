/** Measurements of a machine as a device of the scheduler. */
import type { DeviceProfile } from '@contextlora/scheduler';

import type { MeasuredRate } from './measure-rates.js';
import type { WorkKind } from './measurable-layer.js';

export interface MeasuredDeviceOptions {
  readonly id: string;
  /** What training may use: the available, not the installed memory. */
  readonly memoryBytes: number;
  /** Format of the frozen weights, if it was not float32. */
  readonly base?: string;
  readonly sustainedShare?: number;
  /** While computing. */
  readonly watts?: number;
  readonly idleWatts?: number;
  /** Per layer of a pass. */
  readonly overheadSeconds?: number;
}

/** Builds a device profile from the median rates and whatever else is known. */
export function measuredDevice(
  rates: Readonly<Record<WorkKind, Pick<MeasuredRate, 'flopsPerSecond'>>>,
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
