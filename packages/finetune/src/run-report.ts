/** What a run found out, as one plain value for report.json and as tables for a terminal. */
import type { CertificateCheck } from '@contextlora/trainer';

import { formatTable, percent } from '../terminal/table.js';

export interface TaskResult {
  readonly id: string;
  /** Accuracies in [0, 1] on the held-out test. */
  readonly chance: number;
  readonly base: number;
  readonly afterOwnPhase: number;
  readonly final: number;
  /** Whether the last two agree in every bit of every prediction. */
  readonly bitIdentical: boolean;
  /** Other test sets: name → accuracy at the end. */
  readonly otherTests: Readonly<Record<string, number>>;
  /** A linear classifier on raw pixels and the input's words. */
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

export interface PhaseCertificate {
  readonly tasks: readonly string[];
  readonly check: CertificateCheck;
  readonly certificate: Readonly<Record<string, string>>;
}

export interface RunReport {
  readonly name: string;
  readonly seed: number;
  readonly settings: Readonly<Record<string, unknown>>;
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
  /** Of all optimizer steps: what the cost model said before, what it took, and by what share it was off. */
  readonly prediction?: {
    readonly predictedSeconds: number;
    readonly measuredSeconds: number;
    readonly error: number;
    /** Whether what was measured for it agreed. */
    readonly settled: boolean;
  };
  /** Wall-clock seconds of each stage. */
  readonly seconds: Readonly<Record<string, number>>;
}

/** The accuracy table: base, each task after its own phase, each task at the end. */
export function taskTable({ tasks, macroAverage: macro }: RunReport): string[] {
  const others = [...new Set(tasks.flatMap(({ otherTests }) => Object.keys(otherTests)))];
  const probe = tasks.some(({ pixelProbe }) => pixelProbe !== undefined);
  const header = [
    'task',
    'chance',
    'base',
    'after own phase',
    'at the end',
    'same bits',
    ...others,
    ...(probe ? ['pixel probe'] : []),
  ];
  const rows = tasks.map((task) => [
    task.id,
    percent(task.chance),
    percent(task.base),
    percent(task.afterOwnPhase),
    percent(task.final),
    task.bitIdentical ? 'yes' : 'NO',
    ...others.map((name) => (name in task.otherTests ? percent(task.otherTests[name] ?? 0) : '')),
    ...(probe ? [task.pixelProbe === undefined ? '' : percent(task.pixelProbe)] : []),
  ]);
  const macroRow = [
    'macro average',
    percent(macro.chance),
    percent(macro.base),
    percent(macro.afterOwnPhase),
    percent(macro.final),
  ];
  return formatTable(header, [...rows, macroRow]);
}

/** The decision task by method, at equal budget. */
export function decisionTable({ methods }: NonNullable<RunReport['decision']>): string[] {
  const tests = [...new Set(methods.flatMap(({ accuracies }) => Object.keys(accuracies)))];
  return formatTable(
    ['method', ...tests, 'parameters', 'steps', 'earlier tasks'],
    methods.map(({ method, accuracies, trainedParameters, steps, keepsEarlierTasks }) => [
      method,
      ...tests.map((test) => percent(accuracies[test] ?? 0)),
      trainedParameters.toLocaleString('en'),
      String(steps),
      keepsEarlierTasks,
    ]),
  );
}
