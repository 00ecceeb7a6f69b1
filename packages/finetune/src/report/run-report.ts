/** The results of a run as one plain value: report.json. */
import type { RunFingerprint } from '@contextlora/trainer';

import type { LongRowChange } from '../data/fit-rows.js';
import type { PhaseCertificate } from '../run/run-record.js';

/** Accuracies in [0, 1] on held-out rows; null where nothing was measured: a task without test rows, or chance among free answers. */
export interface TaskResult {
  readonly id: string;
  readonly chance: number | null;
  readonly base: number | null;
  readonly afterOwnPhase: number | null;
  readonly final: number | null;
  /** Whether the predictions after the task's phase and at the end agree in every bit. */
  readonly bitIdentical: boolean | null;
  /** Accuracy on the validation rows after the task's phase; absent without such rows. */
  readonly validation?: number;
  /** Other test sets: name → accuracy at the end. */
  readonly otherTests: Readonly<Record<string, number>>;
  /** Accuracy of a linear classifier on raw pixels and the words of the text. */
  readonly pixelProbe?: number;
}

export interface DecisionResult {
  readonly method: string;
  /** Test set → accuracy. */
  readonly accuracies: Readonly<Record<string, number>>;
  readonly trainedParameters: number;
  readonly steps: number;
  /** Whether training the decision left every earlier task's answers unchanged, by construction. */
  readonly keepsEarlierTasks: string;
}

export interface RunReport {
  readonly name: string;
  readonly seed: number;
  readonly settings: Readonly<Record<string, unknown>>;
  /** What the run was made from, by content: name → SHA-256 or value. */
  readonly inputs: RunFingerprint;
  readonly base: { readonly directory: string; readonly parameters: number; readonly backend: string };
  /** In phase order. */
  readonly tasks: readonly TaskResult[];
  /** Over the tasks with test rows; null if there are none, and for chance if one of them has free answers. */
  readonly macroAverage: {
    readonly chance: number | null;
    readonly base: number | null;
    readonly afterOwnPhase: number | null;
    readonly final: number | null;
  };
  readonly decision?: { readonly task: string; readonly methods: readonly DecisionResult[] };
  /** Rows that were longer than the model's context and were changed; absent if there were none. */
  readonly longRows?: readonly LongRowChange[];
  readonly certificates: readonly PhaseCertificate[];
  /** Everything that two runs of the same inputs may differ in. */
  readonly timing: {
    /** Wall-clock seconds of each stage, of the process that finished the run. */
    readonly seconds: Readonly<Record<string, number>>;
    /** Time of all optimizer steps: predicted by the cost model, measured, and the relative error. */
    readonly prediction?: {
      readonly predictedSeconds: number;
      readonly measuredSeconds: number;
      readonly error: number;
      /** Whether the measurements behind the prediction agree. */
      readonly settled: boolean;
    };
  };
}
