/** What a layer must offer to be measured. */
import type { ComputeRates } from '@contextlora/scheduler';

import { JetsonError } from '../jetson-error.js';

/** Kinds of work as the scheduler prices them. */
export type WorkKind = keyof ComputeRates;

/** A layer whose passes can be run and whose work is known. */
export interface MeasurableLayer {
  forward(tokens: number): void;
  /** The gradient of the input only, as in a layer that trains nothing. */
  backwardInput(tokens: number): void;
  /** The gradients of input and weights. */
  backwardBoth(tokens: number): void;
  flops(kind: WorkKind, tokens: number): number;
}

/**
 * Returns the FLOPs of a pass over `tokens` tokens by kind of work.
 *
 * @throws JetsonError naming every one of the FLOPs, `tokens` and `numbers` that is not a positive number.
 */
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
  if (problems.length > 0)
    throw new JetsonError('JETSON_ARGUMENT_INVALID', where, problems.join('; '), { problems });
  return work;
}
