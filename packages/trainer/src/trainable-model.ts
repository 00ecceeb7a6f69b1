/**
 * The small interface a model meets to be trained phase by phase.
 *
 * The trainer knows no tensor library and no device: a model owns its parameters, its optimizer state and its examples. A model
 * may live in this process, in a pipeline over several devices, or in another team's own code.
 */
import type { Roles } from '@contextlora/lora';

/** What a model is told at the start of a phase. */
export interface PhaseSetting {
  /** The tasks that train in this phase; siblings may share one. */
  readonly tasks: readonly string[];
  /** For each of them, the role of every task's segment in its step. */
  readonly roles: Readonly<Record<string, Roles>>;
}

export interface StepOptions {
  readonly learningRate: number;
}

export interface StepResult {
  /** Mean loss over the examples of the step, in nats. */
  readonly loss: number;
  /** Tokens processed, padding left out. */
  readonly tokens: number;
  /** Global norm of the trained segment's gradient before clipping. */
  readonly gradientNorm: number;
}

export interface Prediction {
  readonly answer: string;
  /** For a label task: the log-probability of each label, in the order of the task's labels, normalised over them. */
  readonly labelLogProbabilities?: readonly number[];
}

export interface TrainableModel<Example> extends AsyncDisposable {
  /** Sets the roles; creates fresh optimizer state for the segments that train and drops all other. */
  setPhase(phase: PhaseSetting): Promise<void>;
  /** One optimizer step of one task over its micro-batches (gradients are averaged over all examples). */
  step(
    task: string,
    microBatches: readonly (readonly Example[])[],
    options: StepOptions,
  ): Promise<StepResult>;
  /** Answers with the segments the roles activate; without roles, with the base model alone. */
  predict(task: string, examples: readonly Example[], roles?: Roles): Promise<readonly Prediction[]>;
  /** SHA-256 over all bytes of a task's segment, in hexadecimal: the unit of the freeze certificate. */
  hashSegment(task: string): Promise<string>;
  /** Everything a resumed run needs that is not in the data: segments, moments, step counts. Names are file names. */
  saveState(): Promise<Readonly<Record<string, Uint8Array>>>;
  restoreState(files: Readonly<Record<string, Uint8Array>>): Promise<void>;
}
