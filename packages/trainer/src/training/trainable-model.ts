/**
 * The small interface of a model that can be trained phase by phase.
 *
 * The trainer knows no tensor library and no device: parameters, optimizer state and examples belong to the model, which may live in
 * this process, in a pipeline over several devices, or in the code of another team.
 */
import type { Roles } from '@contextlora/lora';

import type { Phase } from '../plan/plan-phases.js';

export interface StepOptions {
  readonly learningRate: number;
}

/** A step of one task among those of its siblings. */
export interface TaskStep<Example> extends StepOptions {
  readonly task: string;
  readonly microBatches: readonly (readonly Example[])[];
}

export interface StepResult {
  /** Mean loss over the examples of the step, in nats. */
  readonly loss: number;
  /** Tokens processed, without padding. */
  readonly tokens: number;
  /** Global norm of the gradient of the trained segments, before clipping; a run in which it stays 0 ends, as nothing is learned. */
  readonly gradientNorm: number;
}

export interface Prediction {
  readonly answer: string;
  /** For a label task: the log-probability of each label, in the order of the task's labels, normalised over them. */
  readonly labelLogProbabilities?: readonly number[];
}

export interface TrainableModel<Example> extends AsyncDisposable {
  /** Sets the roles; creates fresh optimizer state for the segments that train and drops all other state. */
  setPhase(phase: Phase): Promise<void>;
  /**
   * One optimizer step of a task over its micro-batches; the gradient is the mean over all their examples.
   *
   * A step whose loss or gradient is NaN or infinite changes nothing and returns them as they are: the run ends there.
   */
  step(
    task: string,
    microBatches: readonly (readonly Example[])[],
    options: StepOptions,
  ): Promise<StepResult>;
  /**
   * One step of each of several siblings, with the same result as one after the other; results are in the order of the steps. A model that
   * lacks this takes them one by one.
   */
  stepTogether?(steps: readonly TaskStep<Example>[]): Promise<readonly StepResult[]>;
  /** Answers with the segments that the roles activate; without roles, with the base model alone. */
  predict(task: string, examples: readonly Example[], roles?: Roles): Promise<readonly Prediction[]>;
  /** SHA-256 over all bytes of a task's segment, in hexadecimal: the unit of the freeze certificate. */
  hashSegment(task: string): Promise<string>;
  /**
   * SHA-256 over the optimizer state of a task's segment, in hexadecimal; undefined where there is none, as of every segment that the phase
   * freezes or masks. A model that lacks this is proved by the bytes of its segments alone.
   */
  hashOptimizer?(task: string): Promise<string | undefined>;
  /** Everything that a resumed run needs and the data do not hold: segments, moments, step counts. File name → content. */
  saveState(): Promise<Readonly<Record<string, Uint8Array>>>;
  restoreState(files: Readonly<Record<string, Uint8Array>>): Promise<void>;
}
