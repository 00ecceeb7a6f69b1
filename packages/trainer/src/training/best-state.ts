/** The best state of a phase so far, judged on held-out rows, and whether a better one is still waited for. */
import { TrainerError } from '../trainer-error.js';
import type { Checkpoint } from './checkpoint.js';
import type { TrainableModel } from './trainable-model.js';

/** How the best state of a task is found; it is what the end of its phase keeps. */
export interface KeepBest {
  /** How good the task is answered now, on rows that do not train it; more is better. Equal states must get equal scores. */
  readonly score: (task: string) => Promise<number>;
  /** Steps between two scores; the last step of a task has one too. */
  readonly everySteps: number;
  /** The scores in a row without a better one after which a task ends early; without it no task does. */
  readonly patience?: number;
}

/** The best state of the present phase. */
export interface BestState {
  /** From 0. */
  readonly step: number;
  readonly score: number;
  /** Scores since, none of them better. */
  readonly waited: number;
  /** Of the model. */
  readonly files: Checkpoint['files'];
}

/** Whether the patience is over. */
export const isOver = (best: BestState | undefined, { patience = Infinity }: KeepBest): boolean =>
  best !== undefined && best.waited >= patience;

/** Whether a step (from 0) of a task has a score. */
export const hasScore = ({ everySteps }: KeepBest, step: number, steps: number): boolean =>
  (step + 1) % everySteps === 0 || step + 1 === steps;

/**
 * The best state after a step: the present one if its score is above that of the best before.
 *
 * @throws TrainerError (`TRAINER_NOT_FINITE`) when the score is no number.
 */
export async function nextBest(
  model: Pick<TrainableModel<never>, 'saveState'>,
  best: BestState | undefined,
  { score, step, task }: { readonly score: number; readonly step: number; readonly task: string },
): Promise<BestState> {
  if (!Number.isFinite(score))
    throw new TrainerError(
      'TRAINER_NOT_FINITE',
      'train',
      `the score of task "${task}" is ${score} at step ${step + 1}, so that no state can be called the best; does it have validation rows?`,
      { tasks: [task] },
    );
  if (best && score <= best.score) return { ...best, waited: best.waited + 1 };
  return { step, score, waited: 0, files: await model.saveState() };
}

const prefix = 'best.';
const about = 'best-state.json';
/** The files of a checkpoint with those of the best state. */
export function withBest(files: Checkpoint['files'], best: BestState | undefined): Checkpoint['files'] {
  if (!best) return files;
  const { files: kept, ...told } = best;
  return {
    ...files,
    ...Object.fromEntries(Object.entries(kept).map(([name, content]) => [`${prefix}${name}`, content])),
    [about]: new TextEncoder().encode(JSON.stringify(told)),
  };
}

/** Takes apart what {@link withBest} put together. @throws TrainerError (`TRAINER_CHECKPOINT_DAMAGED`). */
export function splitBest(files: Checkpoint['files']): {
  readonly files: Checkpoint['files'];
  readonly best: BestState | undefined;
} {
  const { [about]: told, ...others } = files;
  if (!told) return { files, best: undefined };
  const isKept = ([name]: readonly [string, Uint8Array]) => name.startsWith(prefix);
  const kept = Object.entries(others)
    .filter(isKept)
    .map(([name, content]) => [name.slice(prefix.length), content] as const);
  return {
    files: Object.fromEntries(Object.entries(others).filter((file) => !isKept(file))),
    best: { ...decode(told), files: Object.fromEntries(kept) },
  };
}

/** By hand, since a schema library would weigh as much again as all that a browser loads of this package. */
function decode(bytes: Uint8Array): Omit<BestState, 'files'> {
  const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 0;
  let cause: unknown;
  try {
    const read: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const { step, score, waited, ...others } = read as Record<string, unknown>;
    if (isCount(step) && isCount(waited) && Number.isFinite(score) && Object.keys(others).length === 0)
      return { step: step as number, score: score as number, waited: waited as number };
  } catch (error) {
    cause = error;
  }
  throw new TrainerError('TRAINER_CHECKPOINT_DAMAGED', 'train', 'the checkpoint is not used:', {
    problems: [`${about} is not what was saved`],
    ...(cause === undefined ? {} : { cause }),
  });
}
