/**
 * The freeze certificate: a SHA-256 per segment, taken at the end of every phase and compared with the one before.
 *
 * It proves that a phase changed the segments that it trained, and no byte of any other; and that no other segment has an optimizer state,
 * whose momentum or decay could move it later.
 */
import type { Phase } from '../plan/plan-phases.js';
import { TrainerError } from '../trainer-error.js';
import type { TrainableModel } from './trainable-model.js';

/** Task → SHA-256 of its segment, hexadecimal. */
export type FreezeCertificate = Readonly<Record<string, string>>;

/** The parts of a model that can be hashed. */
type Hashable = Pick<TrainableModel<never>, 'hashSegment' | 'hashOptimizer'>;

/** Hashes the segments of the given tasks. */
export async function certifySegments(
  model: Pick<Hashable, 'hashSegment'>,
  tasks: readonly string[],
): Promise<FreezeCertificate> {
  const hashes: Record<string, string> = {};
  for (const task of tasks) hashes[task] = await model.hashSegment(task);
  return hashes;
}

/**
 * Hashes the optimizer states of the given tasks, those that have one; undefined if the model does not tell.
 *
 * @throws TrainerError (`TRAINER_FREEZE_VIOLATED`) when a segment that the phase freezes or masks has one.
 */
export async function certifyOptimizer(
  model: Pick<Hashable, 'hashOptimizer'>,
  phase: Phase,
  tasks: readonly string[],
): Promise<FreezeCertificate | undefined> {
  if (!model.hashOptimizer) return undefined;
  const hashes: Record<string, string> = {};
  for (const task of tasks) {
    const hash = await model.hashOptimizer(task);
    if (hash !== undefined) hashes[task] = hash;
  }
  const trained = changedBy(phase);
  const stray = Object.keys(hashes).filter((task) => !trained.includes(task));
  if (stray.length > 0)
    throw new TrainerError(
      'TRAINER_FREEZE_VIOLATED',
      'train',
      `the model has optimizer state for the segment of ${quote(stray)} in the phase of ${quote(phase.tasks)}, which has to freeze or mask it; ` +
        'setPhase must drop all state but that of the segments that train',
      { tasks: stray },
    );
  return hashes;
}

export interface CertificateCheck {
  /** Tasks whose segments have the same bytes as before. */
  readonly unchanged: readonly string[];
  /** Tasks whose segments changed, as they may. */
  readonly trained: readonly string[];
  /** Tasks whose segments changed although they must not. */
  readonly violated: readonly string[];
}

/** Compares two certificates; only `mayChange` may differ. */
export function checkCertificate(
  before: FreezeCertificate,
  after: FreezeCertificate,
  mayChange: readonly string[],
): CertificateCheck {
  const tasks = Object.keys(after);
  const changed = tasks.filter((task) => before[task] !== after[task]);
  return {
    unchanged: tasks.filter((task) => !changed.includes(task)),
    trained: changed.filter((task) => mayChange.includes(task)),
    violated: changed.filter((task) => !mayChange.includes(task)),
  };
}

/** The error when a step of `trained` changed the segments of `changed`. */
export const freezeViolation = (trained: readonly string[], changed: readonly string[]): TrainerError =>
  new TrainerError(
    'TRAINER_FREEZE_VIOLATED',
    'train',
    `training ${quote(trained)} changed the segment of ${quote(changed)}, which it must not touch; ` +
      `the step of the model writes to segments that it has to freeze or mask`,
    { tasks: changed },
  );

/** The tasks whose segments may change in the steps of a task. */
export const trainedBy = ({ roles }: Phase, task: string): string[] =>
  Object.entries(roles[task] ?? {}).flatMap(([id, role]) => (role === 'train' ? [id] : []));

/** The tasks whose segments a phase may change. */
export const changedBy = (phase: Phase): string[] => [
  ...new Set(phase.tasks.flatMap((task) => trainedBy(phase, task))),
];

/**
 * A check for after each step of a phase that siblings share: at the end of the phase all their segments may differ, and nobody could
 * tell what a step wrote into the segment or the optimizer state of another task. Of siblings that stepped together it cannot tell either.
 *
 * Costs one hash of every segment that the phase trains, and of its optimizer state, per step: 1 ms for 2 MB with Node's SHA-256, and what
 * the model needs to fetch them. A phase of one task needs no such check.
 */
export async function siblingCheck(
  model: Hashable,
  phase: Phase,
): Promise<(stepped: readonly string[]) => Promise<void>> {
  if (phase.tasks.length < 2) return () => Promise.resolve();
  const trained = changedBy(phase);
  const certify = async () => {
    const segments = await certifySegments(model, trained);
    const states = (await certifyOptimizer(model, phase, trained)) ?? {};
    return Object.fromEntries(trained.map((task) => [task, `${segments[task]} ${states[task]}`]));
  };
  let before = await certify();
  return async (stepped) => {
    const after = await certify();
    const mayChange = stepped.flatMap((task) => trainedBy(phase, task));
    const { violated } = checkCertificate(before, after, mayChange);
    if (violated.length > 0) throw freezeViolation(stepped, violated);
    before = after;
  };
}

const quote = (tasks: readonly string[]) => tasks.map((task) => `"${task}"`).join(', ');
