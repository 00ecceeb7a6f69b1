/** The hash that proves optimizer states unchanged. */
import { createHash } from 'node:crypto';

import type { TrainedParameters } from './trained-parameters.js';

type OptimizerState = Pick<TrainedParameters, 'moments' | 'parameters' | 'step'>;

/** SHA-256 over step counts and moments, in hexadecimal. */
export function hashOptimizerStates(states: readonly OptimizerState[]): string {
  const hash = createHash('sha256');
  for (const { step, moments, parameters } of states) {
    hash.update(`${step} ${parameters.length}\n`);
    for (const { buffer, byteOffset, byteLength } of Object.values(moments))
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}
