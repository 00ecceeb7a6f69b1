/** Whether a checkpoint belongs to the run that wants to resume from it. */
import { TrainerError } from '../trainer-error.js';
import type { RunFingerprint } from './checkpoint.js';

/** Every input that differs, with what it was and what it is; digests by their beginning. */
export function inputDifferences(before: RunFingerprint, now: RunFingerprint): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return names.flatMap((name) => {
    const [was, is] = [valueOf(before, name), valueOf(now, name)];
    return was === is ? [] : [`${name}: ${show(was)} when the run began, ${show(is)} now`];
  });
}

/**
 * Checks that a checkpoint was made from the inputs of this run.
 *
 * @throws TrainerError (`TRAINER_CHECKPOINT_FOREIGN`) with every input that differs.
 */
export function requireSameRun(saved: RunFingerprint, current: RunFingerprint): void {
  const problems = inputDifferences(saved, current);
  if (problems.length > 0)
    throw new TrainerError(
      'TRAINER_CHECKPOINT_FOREIGN',
      'train',
      'the checkpoint belongs to another run; go back to its inputs, or start again without the checkpoint. These inputs differ:',
      { problems },
    );
}

const valueOf = (fingerprint: RunFingerprint, name: string) =>
  Object.hasOwn(fingerprint, name) ? fingerprint[name] : undefined;

/** Digests are told apart by their beginning. */
const show = (value: string | undefined) =>
  value === undefined ? 'absent' : /^[0-9a-f]{32,}$/.test(value) ? value.slice(0, 12) : value;
