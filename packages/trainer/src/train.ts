/**
 * The phased fine-tuning itself: walk the phases, train each on its own tasks' data only, and prove after each that nothing else
 * changed.
 *
 * A flat async generator: the caller sees every step, and stops by ending its loop. Nothing is logged or printed here.
 */
import type { Checkpoint, CheckpointStore, RunPosition } from './checkpoint.js';
import {
  certifySegments,
  checkCertificate,
  FreezeViolation,
  type CertificateCheck,
  type FreezeCertificate,
} from './freeze-certificate.js';
import { type LearningRate, warmupCosine } from './learning-rate.js';
import type { Phase } from './plan-phases.js';
import { sampleBatch } from './sample-batch.js';
import type { StepResult, TrainableModel } from './trainable-model.js';

export interface TrainOptions<Example> {
  /** The training examples of a task; asked at the start of its phase, when its ancestors are finished and can answer. */
  readonly examplesFor: (task: string) => Promise<readonly Example[]> | readonly Example[];
  /** Optimizer steps per task; one number for all, or by task. */
  readonly steps: number | Readonly<Record<string, number>>;
  readonly seed: number;
  /** Examples per optimizer step. */
  readonly batchSize?: number;
  /** A step's batch is split into so many micro-batches whose gradients are averaged. */
  readonly microBatches?: number;
  readonly learningRate?: LearningRate;
  /** Where a stopped run resumes from and is kept; without it a stop loses the run. */
  readonly checkpoints?: CheckpointStore;
  /** Beside the end of every phase, also save after so many steps. */
  readonly checkpointEverySteps?: number;
  /** Identifies the run's inputs; a checkpoint with another fingerprint is refused. */
  readonly fingerprint?: string;
}

export type TrainEvent =
  | { readonly type: 'resume'; readonly position: RunPosition }
  | {
      readonly type: 'phaseStart';
      readonly phase: number;
      readonly tasks: readonly string[];
      readonly steps: number;
    }
  | ({
      readonly type: 'step';
      readonly phase: number;
      readonly task: string;
      /** From 0. */
      readonly step: number;
      /** Steps of this task in this phase. */
      readonly steps: number;
      readonly learningRate: number;
    } & StepResult)
  | {
      readonly type: 'phaseEnd';
      readonly phase: number;
      readonly tasks: readonly string[];
      readonly certificate: FreezeCertificate;
      readonly check: CertificateCheck;
    };

export interface TrainReport {
  readonly phases: number;
  readonly certificate: FreezeCertificate;
}

/**
 * Trains a model phase by phase.
 *
 * @throws FreezeViolation when a phase changed a segment it was to freeze or mask.
 * @throws Error when a checkpoint belongs to another run.
 */
export async function* train<Example>(
  model: TrainableModel<Example>,
  phases: readonly Phase[],
  {
    examplesFor,
    steps,
    seed,
    batchSize = 16,
    microBatches = 1,
    learningRate = warmupCosine(3e-3),
    checkpoints,
    checkpointEverySteps,
    fingerprint = '',
  }: TrainOptions<Example>,
): AsyncGenerator<TrainEvent, TrainReport> {
  const allTasks = segmentsOf(phases);
  const stepsOf = (task: string) => (typeof steps === 'number' ? steps : (steps[task] ?? 0));
  const resumed = await checkpoints?.load();
  if (resumed) {
    requireSameRun(resumed, fingerprint);
    await model.restoreState(resumed.files);
    yield { type: 'resume', position: resumed.position };
  }
  let position: RunPosition = resumed?.position ?? {
    phase: 0,
    step: 0,
    certificate: await certifySegments(model, allTasks),
    fingerprint,
  };
  const save = async () => checkpoints?.save({ position, files: await model.saveState() });
  // Stopping by return() ends at a yield, where position and model agree; after an error they need not.
  let stoppedByCaller = true;
  let saved = true;

  try {
    for (const [index, phase] of phases.entries()) {
      if (index < position.phase) continue;
      await model.setPhase(phase);
      // A phase resumed in its middle needs the moments that setPhase has just made anew.
      if (resumed && position.step > 0 && position === resumed.position)
        await model.restoreState(resumed.files);

      const examples = new Map<string, readonly Example[]>();
      for (const task of phase.tasks) examples.set(task, await examplesFor(task));
      const turns = turnsOf(phase, stepsOf);
      yield { type: 'phaseStart', phase: index, tasks: phase.tasks, steps: turns.length };

      for (const [turn, { task, step }] of turns.entries()) {
        if (turn < position.step) continue;
        const own = examples.get(task) ?? [];
        const batch = sampleBatch(own.length, batchSize, { seed, task, step }).flatMap((i) => own[i] ?? []);
        const rate = learningRate(step, stepsOf(task));
        const result = await model.step(task, split(batch, microBatches), { learningRate: rate });
        position = { ...position, step: turn + 1 };
        saved = false;
        if (checkpointEverySteps && position.step % checkpointEverySteps === 0) {
          await save();
          saved = true;
        }
        yield { type: 'step', phase: index, task, step, steps: stepsOf(task), learningRate: rate, ...result };
      }

      const certificate = await certifySegments(model, allTasks);
      const check = checkCertificate(position.certificate, certificate, trainedIn(phase));
      if (check.violated.length > 0) throw new FreezeViolation(phase.tasks, check.violated);
      position = { ...position, phase: index + 1, step: 0, certificate };
      await save();
      saved = true;
      yield { type: 'phaseEnd', phase: index, tasks: phase.tasks, certificate, check };
    }
    return { phases: phases.length, certificate: position.certificate };
  } catch (error) {
    stoppedByCaller = false;
    throw error;
  } finally {
    if (stoppedByCaller && !saved) await save();
  }
}

/** The optimizer steps of a phase in order; siblings take turns, each with its own optimizer, equal to one after the other. */
function turnsOf(phase: Phase, stepsOf: (task: string) => number): { task: string; step: number }[] {
  const longest = Math.max(0, ...phase.tasks.map(stepsOf));
  return Array.from({ length: longest }, (_, step) =>
    phase.tasks.filter((task) => step < stepsOf(task)).map((task) => ({ task, step })),
  ).flat();
}

/** All tasks whose roles the phases name, in first-named order. */
function segmentsOf(phases: readonly Phase[]): string[] {
  return [...new Set(phases.flatMap(({ roles }) => Object.values(roles).flatMap((of) => Object.keys(of))))];
}

function trainedIn({ tasks, roles }: Phase): string[] {
  return tasks.flatMap((task) =>
    Object.entries(roles[task] ?? {}).flatMap(([id, role]) => (role === 'train' ? [id] : [])),
  );
}

function split<T>(batch: readonly T[], parts: number): T[][] {
  const size = Math.ceil(batch.length / parts);
  return Array.from({ length: parts }, (_, i) => batch.slice(i * size, (i + 1) * size)).filter(
    (part) => part.length > 0,
  );
}

function requireSameRun({ position }: Checkpoint, fingerprint: string): void {
  if (position.fingerprint !== fingerprint)
    throw new Error(
      `trainer/train: the checkpoint belongs to another run (its inputs have fingerprint "${position.fingerprint}", ` +
        `these "${fingerprint}"); remove the checkpoint to start anew, or go back to the inputs it was made with`,
    );
}
