/** A run as the page shows it: one plain value, so that it can be written into a file or sent while the run goes on. */
import type { Cluster, Plan, Workload } from '@contextlora/scheduler';

export interface RunView {
  readonly name: string;
  /** Where the run is, as it was named. */
  readonly directory: string;
  /** `train`, `demo` or what else made the run. */
  readonly kind: string;
  readonly isFinished: boolean;
  readonly model: string;
  /** Name of a setting → its value. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** In topological order. */
  readonly tasks: readonly TaskView[];
  /** In the order in which they are trained. */
  readonly phases: readonly PhaseView[];
  /** The linears that have LoRA matrices, from the input to the output. */
  readonly linears: readonly LinearView[];
  readonly plan?: PlanView;
  readonly question?: QuestionView;
}

export interface TaskView {
  readonly id: string;
  readonly instruction: string;
  readonly dependsOn: readonly string[];
  /** `image`, `text`. */
  readonly inputs: readonly string[];
  /** Empty for a task with free answers. */
  readonly labels: readonly string[];
  /** `training`: steps are recorded, but its phase has not ended; whether a process is at work on it, the files do not tell. */
  readonly state: 'waiting' | 'training' | 'trained';
  /** Optimizer steps that are recorded, and those of the whole phase where a step has told. */
  readonly steps: number;
  readonly totalSteps?: number;
  /** Of the recorded steps, thinned to at most {@link mostPoints}; the last is always there. */
  readonly losses: readonly LossPoint[];
  /** SHA-256 of the segment when its own phase ended. */
  readonly certificate?: string;
  /** Whether every later phase left the segment with these bytes; absent before its phase ends. */
  readonly isUnchanged?: boolean;
  readonly accuracies: readonly AccuracyView[];
}

export interface LossPoint {
  /** From 0, in the phase of the task. */
  readonly step: number;
  readonly loss: number;
}

export interface AccuracyView {
  /** Name of the test set. */
  readonly test: string;
  readonly when: 'afterOwnPhase' | 'validation' | 'final';
  /** In [0, 1]; null where nothing was measured. */
  readonly accuracy: number | null;
}

export interface PhaseView {
  readonly tasks: readonly string[];
  /** Trained task → segment → its role while that task trains. */
  readonly roles: Readonly<Record<string, Readonly<Record<string, 'train' | 'freeze' | 'mask'>>>>;
  readonly hasEnded: boolean;
}

export interface LinearView {
  readonly name: string;
  /** Task → the ranks [start, end) of its segment. */
  readonly spans: Readonly<Record<string, { readonly start: number; readonly end: number }>>;
}

/** Simulated, all of it. */
export interface PlanView {
  readonly cluster: Cluster;
  readonly plan: Plan;
  /** What was planned; without it nothing can be planned again. */
  readonly workloads?: readonly Workload[];
}

export interface QuestionView {
  readonly text?: string;
  /** A data URL. */
  readonly image?: string;
  /** In the order in which they were asked. */
  readonly answers: readonly AnswerView[];
}

export interface AnswerView {
  readonly task: string;
  readonly prompt?: string;
  readonly answer: string;
  /** Label → probability, likeliest first. */
  readonly labels?: readonly (readonly [label: string, probability: number])[];
}

export const mostPoints = 1000;
