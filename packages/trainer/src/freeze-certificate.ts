/**
 * The freeze certificate: a SHA-256 per segment, written at every phase end and checked at the next (spec section 4.1).
 *
 * It proves that a phase changed the segments it was to train and no byte of any other.
 */
import type { TrainableModel } from './trainable-model.js';

/** Task → SHA-256 of its segment, hexadecimal. */
export type FreezeCertificate = Readonly<Record<string, string>>;

/** Hashes the segments of the given tasks. */
export async function certifySegments(
  model: Pick<TrainableModel<never>, 'hashSegment'>,
  tasks: readonly string[],
): Promise<FreezeCertificate> {
  const hashes: Record<string, string> = {};
  for (const task of tasks) hashes[task] = await model.hashSegment(task);
  return hashes;
}

export interface CertificateCheck {
  /** Segments whose bytes are the same as before. */
  readonly unchanged: readonly string[];
  /** Segments that changed and were allowed to. */
  readonly trained: readonly string[];
  /** Segments that changed and were not allowed to: must be empty. */
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

/** Thrown when a finished or unrelated segment changed; nothing of the phase may be kept. */
export class FreezeViolation extends Error {
  override readonly name = 'FreezeViolation';
  readonly tasks: readonly string[];
  constructor(phaseTasks: readonly string[], tasks: readonly string[]) {
    super(
      `trainer/train: the phase of ${quote(phaseTasks)} changed the segment of ${quote(tasks)}, ` +
        `which it must not touch; the model's step writes to segments it was told to freeze or mask`,
    );
    this.tasks = tasks;
  }
}

const quote = (tasks: readonly string[]) => tasks.map((task) => `"${task}"`).join(', ');
