/** Whether a checkpoint can be of the run that it is restored into: its position exists there, and its segments are those that were saved. */
import type { Phase } from '../plan/plan-phases.js';
import { TrainerError } from '../trainer-error.js';
import type { Checkpoint } from './checkpoint.js';
import { type FreezeCertificate, trainedBy } from './freeze-certificate.js';

/**
 * Checks the position and certificates of a checkpoint against the phases, before anything is restored from it.
 *
 * @throws TrainerError (`TRAINER_CHECKPOINT_DAMAGED`) with everything that is wrong.
 */
export function requireSoundCheckpoint(
  { position, segments }: Checkpoint,
  {
    phases,
    tasks,
    stepsOf,
  }: { phases: readonly Phase[]; tasks: readonly string[]; stepsOf: (phase: Phase) => number },
): void {
  const problems = [
    ...positionProblems(position, phases, stepsOf),
    ...certificateProblems('certificate', position.certificate, tasks),
    ...certificateProblems('segments', segments, tasks),
  ];
  if (problems.length === 0) {
    // Since the last phase ended, only the segments that the present one trains may have changed.
    const phase = position.step > 0 ? phases[position.phase] : undefined;
    const mayDiffer = new Set(phase?.tasks.flatMap((task) => trainedBy(phase, task)));
    for (const task of tasks)
      if (!mayDiffer.has(task) && position.certificate[task] !== segments[task])
        problems.push(`the segment of "${task}" is not the one of the last certificate`);
  }
  refuse(problems);
}

/**
 * Compares the segments of a model, after they were restored, with those that were saved.
 *
 * @throws TrainerError (`TRAINER_CHECKPOINT_DAMAGED`) naming the tasks whose segments differ.
 */
export function requireRestored(saved: FreezeCertificate, restored: FreezeCertificate): void {
  refuse(
    Object.keys(restored)
      .filter((task) => restored[task] !== saved[task])
      .map((task) => `the restored segment of "${task}" is not the one that was saved`),
  );
}

function positionProblems(
  { phase, step }: Checkpoint['position'],
  phases: readonly Phase[],
  stepsOf: (phase: Phase) => number,
): string[] {
  if (!Number.isSafeInteger(phase) || phase < 0 || phase > phases.length)
    return [`phase ${phase} does not exist; the run has ${phases.length} phases`];
  const current = phases[phase];
  const steps = current ? stepsOf(current) : 0;
  return Number.isSafeInteger(step) && step >= 0 && step <= steps
    ? []
    : [`step ${step} of phase ${phase} does not exist; the phase has ${steps} steps`];
}

function certificateProblems(
  name: string,
  certificate: FreezeCertificate,
  tasks: readonly string[],
): string[] {
  const known = Object.keys(certificate);
  return [
    ...tasks.filter((task) => !known.includes(task)).map((task) => `"${name}" has no hash of task "${task}"`),
    ...known
      .filter((task) => !tasks.includes(task))
      .map((task) => `"${name}" names task "${task}", which the run does not have`),
  ];
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0)
    throw new TrainerError(
      'TRAINER_CHECKPOINT_DAMAGED',
      'train',
      'the checkpoint is not used, because its files are damaged or were exchanged; start again without it (contextlora: --force), or copy it again:',
      { problems },
    );
}
