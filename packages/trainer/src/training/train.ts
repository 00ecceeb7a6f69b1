/**
 * Phased fine-tuning: train phase after phase on the data of its tasks alone, and prove after each that nothing else changed.
 *
 * A flat async generator: the caller sees every step, and stops by leaving its loop. Nothing is logged or printed here.
 */
import { type Phase, tasksWithRoles } from '../plan/plan-phases.js';
import { hasScore, isOver, type KeepBest, nextBest, splitBest, withBest } from './best-state.js';
import { checkSettings, type RunSettings, stepsOfTask } from './check-settings.js';
import type { Checkpoint, CheckpointStore, RunFingerprint, RunPosition } from './checkpoint.js';
import { exampleSource, type ExampleSource } from './example-source.js';
import {
  certifyOptimizer,
  certifySegments,
  changedBy,
  checkCertificate,
  type FreezeCertificate,
  freezeViolation,
  siblingCheck,
} from './freeze-certificate.js';
import { type LearningRate, warmupCosine } from './learning-rate.js';
import { requireSameRun } from './require-same-run.js';
import { requireRestored, requireSoundCheckpoint } from './require-sound-checkpoint.js';
import { type SampleBatch, sampleBatch } from './sample-batch.js';
import { openRounds } from './take-round.js';
import type { StepEvent, TrainEvent } from './train-event.js';
import type { TrainableModel } from './trainable-model.js';
import { roundsOf, turnsOf } from './turns-of-phase.js';

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
  const allTasks = tasksWithRoles(phases);
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
      const takeRound = openRounds(model, {
        sources,
        stepsOf,
        sample,
        seed,
        batchSize,
        microBatches,
        learningRate,
      });
      yield { type: 'phaseStart', phase: index, tasks: phase.tasks, steps: turns.length };

      for (const round of roundsOf(turns.slice(position.step), {
        together: model.stepTogether !== undefined,
      })) {
        if (keepBest && isOver(best, keepBest)) break;
        const taken = await takeRound(round);
        await checkSiblings(round.map(({ task }) => task));
        const { task, step } = round[0]!;
        const score =
          keepBest && hasScore(keepBest, step, stepsOf(task)) ? await keepBest.score(task) : undefined;
        if (score !== undefined) best = await nextBest(model, best, { score, step, task });
        const before = position.step;
        position = { ...position, step: before + round.length };
        unsaved = phase;
        const told = taken.map((one): StepEvent => ({
          type: 'step',
          phase: index,
          ...one,
          ...(score === undefined ? {} : { score }),
        }));
        // Before the save, so that what the caller keeps with a checkpoint has these steps too.
        yield told.length === 1 ? told[0]! : { type: 'stepsTogether', phase: index, steps: told };
        if (checkpointEverySteps && isPassed(checkpointEverySteps, before, position.step)) {
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

/** Whether a multiple of `every` lies above `before` and not above `now`. */
const isPassed = (every: number, before: number, now: number): boolean =>
  Math.floor(now / every) > Math.floor(before / every);
