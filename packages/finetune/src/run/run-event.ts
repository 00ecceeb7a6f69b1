/** What a run tells while it goes on, and which of that is kept. */
import type { TrainEvent } from '@contextlora/trainer';

import type { RowsDone, TaskEvaluation } from './evaluate-task.js';

export type EvaluatedEvent = {
  readonly type: 'evaluated';
  readonly task: string;
  /** `validation`: on the validation rows, after the task's own phase. */
  readonly when: 'afterOwnPhase' | 'validation' | 'final';
  /** Name of the test set; `validation` for the validation rows. */
  readonly test: string;
} & TaskEvaluation;

/** The rows done of an evaluation that takes long. */
export type EvaluatingEvent = {
  readonly type: 'evaluating';
  readonly task: string;
  readonly test: string;
} & RowsDone;

/** A line of `metrics.jsonl`. */
export type MetricsEntry =
  | Extract<TrainEvent, { type: 'step' | 'phaseEnd' }>
  /** The predictions as their digest: two evaluations with the same one agree in every bit. */
  | (Omit<EvaluatedEvent, 'predictions'> & { readonly predictionsSha256: string });

/** The trained parents of a task are asked about its training rows. */
export interface AskingParentsEvent {
  readonly type: 'askingParents';
  readonly task: string;
  /** Rows. */
  readonly done: number;
  readonly total: number;
}

export type RunEvent =
  /** What is known of the tasks that a change keeps; the first event of a change. */
  | { readonly type: 'carried'; readonly earlier: readonly MetricsEntry[] }
  | Exclude<TrainEvent, { type: 'resume' | 'stepsTogether' }>
  | (Extract<TrainEvent, { type: 'resume' }> & {
      /** Everything that was recorded up to the checkpoint. */
      readonly earlier: readonly MetricsEntry[];
    })
  | AskingParentsEvent
  | EvaluatingEvent
  | EvaluatedEvent;
