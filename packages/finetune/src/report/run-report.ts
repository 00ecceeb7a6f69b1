/** The results of a run as one plain value: report.json. */
import type { RunFingerprint } from '@contextlora/trainer';

import type { PhaseCertificate } from '../run/run-record.js';

export interface TaskResult {
  readonly id: string;
  /** Accuracies in [0, 1] on the held-out test. */
  readonly chance: number;
  readonly base: number;
  readonly afterOwnPhase: number;
  readonly final: number;
  /** Whether the predictions after the task's phase and at the end agree in every bit. */
  readonly bitIdentical: boolean;
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
  readonly macroAverage: {
    readonly chance: number;
    readonly base: number;
    readonly afterOwnPhase: number;
    readonly final: number;
  };
  readonly decision?: { readonly task: string; readonly methods: readonly DecisionResult[] };
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
