/**
 * Phased fine-tuning: train phase after phase on the data of its tasks alone, and prove after each that nothing else changed.
 *
 * A flat async generator: the caller sees every step, and stops by leaving its loop. Nothing is logged or printed here.
 */
import type { Phase } from '../plan/plan-phases.js';
import {
  type BestState,
  hasScore,
  isOver,
  type KeepBest,
  nextBest,
  splitBest,
  withBest,
} from './best-state.js';
import { checkSettings, type RunSettings, stepsOfTask } from './check-settings.js';
import type { Checkpoint, CheckpointStore, RunFingerprint, RunPosition } from './checkpoint.js';
import { drawBatch, exampleSource, type ExampleSource } from './example-source.js';
import {
  type CertificateCheck,
  certifyOptimizer,
  certifySegments,
  changedBy,
  checkCertificate,
  type FreezeCertificate,
  freezeViolation,
  siblingCheck,
} from './freeze-certificate.js';
import { type LearningRate, warmupCosine } from './learning-rate.js';
import { microBatchesOf } from './micro-batches.js';
import { requireSameRun } from './require-same-run.js';
import { requireRestored, requireSoundCheckpoint } from './require-sound-checkpoint.js';
import { type SampleBatch, sampleBatch } from './sample-batch.js';
import type { StepResult, TrainableModel } from './trainable-model.js';
import { turnsOf } from './turns-of-phase.js';
import { watchTraining } from './watch-training.js';

export interface TrainOptions<Example> {
  /** The training examples of a task, or where to draw them; called at the start of its phase, when its ancestors are trained and can answer. */
  readonly examplesFor: (task: string) => Promise<TaskExamples<Example>> | TaskExamples<Example>;
  /** Optimizer steps per task: one number for all, or task → number. */
  readonly steps: number | Readonly<Record<string, number>>;
  readonly seed: number;
  /** Examples per optimizer step. */
  readonly batchSize?: number;
  /** The number of micro-batches into which the batch of a step is split, as evenly as possible; a pipeline works on several at a time. */
  readonly microBatches?: number;
  /** Which examples a step sees; by default all of them once per epoch. */
  readonly sample?: SampleBatch;
  readonly learningRate?: LearningRate;
  /** Keeps the best state of each task instead of its last; phases train one task each then. */
  readonly keepBest?: KeepBest;
  /** Where a run is kept, and resumes from; without it a stopped run is lost. */
  readonly checkpoints?: CheckpointStore;
  /** The number of steps between saves within a phase; its end is always saved. */
  readonly checkpointEverySteps?: number;
  /** Identifies the inputs of the run; a checkpoint with another fingerprint is refused. */
  readonly fingerprint?: RunFingerprint;
}

type TaskExamples<Example> = readonly Example[] | ExampleSource<Example>;

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
      /** With `keepBest`, of the state after this step, where it was scored. */
      readonly score?: number;
    } & StepResult)
  | {
      readonly type: 'phaseEnd';
      readonly phase: number;
      readonly tasks: readonly string[];
      readonly certificate: FreezeCertificate;
      readonly check: CertificateCheck;
      /** Task → SHA-256 of its optimizer state: of the trained tasks alone. Absent if the model does not tell. */
      readonly optimizer?: FreezeCertificate;
      /** With `keepBest`: the step, from 0, whose state is kept, and its score. */
      readonly best?: Pick<BestState, 'step' | 'score'>;
    };

export interface TrainReport {
  readonly phases: number;
  readonly certificate: FreezeCertificate;
}

/**
 * Trains a model phase by phase.
 *
 * @throws TrainerError `TRAINER_INPUT_INVALID` when settings make no sense; `TRAINER_CHECKPOINT_FOREIGN` when the checkpoint belongs to
 * another run, `TRAINER_CHECKPOINT_DAMAGED` when it does not prove sound; `TRAINER_FREEZE_VIOLATED` when a step changed a segment that it
 * had to freeze or mask; `TRAINER_NOT_FINITE` and `TRAINER_STUCK` when training comes to nothing. After an error nothing is saved.
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
    sample = sampleBatch,
    learningRate = warmupCosine(3e-3),
    keepBest,
    checkpoints,
    checkpointEverySteps,
    fingerprint = {},
  }: TrainOptions<Example>,
): AsyncGenerator<TrainEvent, TrainReport> {
  const allTasks = segmentsOf(phases);
  const settings: RunSettings = { steps, seed, batchSize, microBatches, learningRate };
  checkSettings(
    {
      ...settings,
      ...(checkpointEverySteps === undefined ? {} : { checkpointEverySteps }),
      ...(keepBest ? { keepBest, together: phases.some(({ tasks }) => tasks.length > 1) } : {}),
    },
    { trained: phases.flatMap(({ tasks }) => tasks), known: allTasks },
  );
  const stepsOf = (task: string) => stepsOfTask(steps, task);
  const loaded = await checkpoints?.load();
  const apart = loaded && splitBest(loaded.files);
  const resumed = loaded && apart && { ...loaded, files: apart.files };
  let best = apart?.best;
  const restore = async ({ files, segments }: Checkpoint) => {
    await model.restoreState(files);
    requireRestored(segments, await certifySegments(model, allTasks));
  };
  if (resumed) {
    requireSameRun(resumed.position.fingerprint, fingerprint);
    requireSoundCheckpoint(resumed, {
      phases,
      tasks: allTasks,
      stepsOf: (phase) => turnsOf(phase, stepsOf).length,
    });
    await restore(resumed);
    yield { type: 'resume', position: resumed.position };
  }
  let position: RunPosition = resumed?.position ?? {
    phase: 0,
    step: 0,
    certificate: await certifySegments(model, allTasks),
    fingerprint,
  };
  /** Saves the position, if no segment has changed but those that may. */
  const save = async (phase: Phase) => {
    if (!checkpoints) return;
    const segments = await certifySegments(model, allTasks);
    const { violated } = checkCertificate(position.certificate, segments, changedBy(phase));
    if (violated.length > 0) throw freezeViolation(phase.tasks, violated);
    await checkpoints.save({ position, segments, files: withBest(await model.saveState(), best) });
  };
  // return() stops at a yield, where position and model agree; after an error they may not.
  let stoppedByCaller = true;
  let unsaved: Phase | undefined;

  try {
    for (const [index, phase] of phases.entries()) {
      if (index < position.phase) continue;
      await model.setPhase(phase);
      // In the middle of a phase the moments go on from the checkpoint; setPhase has just reset them.
      if (resumed && position.step > 0 && position === resumed.position) await restore(resumed);

      const sources = new Map<string, ExampleSource<Example>>();
      for (const task of phase.tasks) sources.set(task, exampleSource(await examplesFor(task)));
      const turns = turnsOf(phase, stepsOf);
      await certifyOptimizer(model, phase, allTasks);
      const checkSiblings = await siblingCheck(model, phase);
      const watch = watchTraining();
      yield { type: 'phaseStart', phase: index, tasks: phase.tasks, steps: turns.length };

      for (const [turn, { task, step }] of turns.entries()) {
        if (turn < position.step) continue;
        if (keepBest && isOver(best, keepBest)) break;
        const source = sources.get(task) ?? exampleSource([]);
        const drawn = sample(source.length, batchSize, { seed, task, step });
        const batch = microBatchesOf(await drawBatch(source, drawn, { task, step }), microBatches);
        const rate = learningRate(step, stepsOf(task), task);
        const result = await model.step(task, batch, { learningRate: rate });
        watch(result, { task, step, steps: stepsOf(task), learningRate: rate, examples: drawn });
        await checkSiblings(task);
        const score =
          keepBest && hasScore(keepBest, step, stepsOf(task)) ? await keepBest.score(task) : undefined;
        if (score !== undefined) best = await nextBest(model, best, { score, step, task });
        position = { ...position, step: turn + 1 };
        unsaved = phase;
        // Before the save, so that what the caller keeps with a checkpoint has this step too.
        yield {
          type: 'step',
          phase: index,
          task,
          step,
          steps: stepsOf(task),
          learningRate: rate,
          ...result,
          ...(score === undefined ? {} : { score }),
        };
        if (checkpointEverySteps && position.step % checkpointEverySteps === 0) {
          await save(phase);
          unsaved = undefined;
        }
      }

      const kept = best;
      if (kept) await model.restoreState(kept.files);
      best = undefined;
      const certificate = await certifySegments(model, allTasks);
      const check = checkCertificate(position.certificate, certificate, changedBy(phase));
      if (check.violated.length > 0) throw freezeViolation(phase.tasks, check.violated);
      const optimizer = await certifyOptimizer(model, phase, allTasks);
      position = { ...position, phase: index + 1, step: 0, certificate };
      unsaved = phase;
      yield {
        type: 'phaseEnd',
        phase: index,
        tasks: phase.tasks,
        certificate,
        check,
        ...(optimizer ? { optimizer } : {}),
        ...(kept ? { best: { step: kept.step, score: kept.score } } : {}),
      };
      await save(phase);
      unsaved = undefined;
    }
    return { phases: phases.length, certificate: position.certificate };
  } catch (error) {
    stoppedByCaller = false;
    throw error;
  } finally {
    if (stoppedByCaller && unsaved) await save(unsaved);
  }
}

/** All tasks that have a role in one of the phases, in the order of their first. */
function segmentsOf(phases: readonly Phase[]): string[] {
  return [
    ...new Set(phases.flatMap(({ roles }) => Object.values(roles).flatMap((task) => Object.keys(task)))),
  ];
}
