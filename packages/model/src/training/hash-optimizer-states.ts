/** The hash that proves optimizer states unchanged. */
import { createHash } from 'node:crypto';

import type { TrainedParameters } from './trained-parameters.js';

type OptimizerState = Pick<TrainedParameters, 'firstMoment' | 'secondMoment' | 'step'>;

/** SHA-256 over step counts and moments, in hexadecimal. */
export function hashOptimizerStates(states: readonly OptimizerState[]): string {
  const hash = createHash('sha256');
  for (const { step, firstMoment, secondMoment } of states) {
    hash.update(`${step} ${firstMoment.length}\n`);
    for (const { buffer, byteOffset, byteLength } of [firstMoment, secondMoment])
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}
