/** The hash that proves optimizer states unchanged. */
import { createHash } from 'node:crypto';

import { momentNames, type TrainingState } from '../stage/training-state.js';
import { flatArrays } from './trained-parameters.js';

/**
 * SHA-256 over the step counts and moments of the optimizers that train a task's segment, in hexadecimal; undefined if there is none. One
 * optimizer may hold several segments, where a strategy trains more than the task.
 */
export function hashOptimizerStates(
  { segments, optimizers }: TrainingState,
  task: string,
): string | undefined {
  const states = Object.values(optimizers).filter(({ trains }) => trains.includes(task));
  if (states.length === 0) return undefined;
  const hash = createHash('sha256');
  for (const { step, trains, moments } of states) {
    const parameters = flatArrays(trains.map((one) => segments[one] ?? {}));
    hash.update(`${step} ${parameters.reduce((sum, { length }) => sum + length, 0)}\n`);
    for (const name of momentNames)
      for (const { buffer, byteOffset, byteLength } of flatArrays(Object.values(moments[name] ?? {})))
        hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}
