/** The parts of a run's events that its report needs: losses, certificates and evaluations. */
import type { CertificateCheck } from '@contextlora/trainer';

import { metricsEntryOf } from './metrics-entry.js';
import type { MetricsEntry, RunEvent } from './run-event.js';

export interface LossPoint {
  /** Optimizer steps since the start of the run. */
  readonly step: number;
  readonly task: string;
  /** Nats. */
  readonly loss: number;
}

export interface AccuracyPoint {
  /** Optimizer steps since the start of the run. */
  readonly step: number;
  readonly task: string;
  /** Name of the test set; `validation` for the validation rows. */
  readonly test: string;
  readonly accuracy: number;
}

export interface PhaseCertificate {
  readonly tasks: readonly string[];
  readonly check: CertificateCheck;
  readonly certificate: Readonly<Record<string, string>>;
  /** Task → SHA-256 of its optimizer state: of the trained tasks alone. */
  readonly optimizer?: Readonly<Record<string, string>>;
}

export type RecordedEvaluation = Extract<MetricsEntry, { type: 'evaluated' }>;

export interface RunRecord {
  readonly losses: readonly LossPoint[];
  /** In the order of the evaluations. */
  readonly accuracies: readonly AccuracyPoint[];
  readonly certificates: readonly PhaseCertificate[];
  /** `${task}/${when}/${test}` → evaluation. */
  readonly evaluations: ReadonlyMap<string, RecordedEvaluation>;
  /** Seconds from the start of each phase to its last step, over the phases that ran in this process. */
  readonly stepSeconds: number;
}

/** Collects a record from the events given to `add`, with those before a resumed run was stopped; `clock` gives monotonic seconds. */
export function recordRun({ clock }: { readonly clock: () => number }): {
  readonly record: RunRecord;
  readonly add: (event: RunEvent) => void;
} {
  const record = {
    losses: [] as LossPoint[],
    accuracies: [] as AccuracyPoint[],
    certificates: [] as PhaseCertificate[],
    evaluations: new Map<string, RecordedEvaluation>(),
    stepSeconds: 0,
  };
  const keep = (entry: MetricsEntry) => {
    switch (entry.type) {
      case 'step':
        record.losses.push({ step: record.losses.length, task: entry.task, loss: entry.loss });
        break;
      case 'phaseEnd':
        record.certificates.push({
          tasks: entry.tasks,
          check: entry.check,
          certificate: entry.certificate,
          ...(entry.optimizer ? { optimizer: entry.optimizer } : {}),
        });
        break;
      case 'evaluated':
        record.evaluations.set(evaluationKey(entry), entry);
        record.accuracies.push({
          step: record.losses.length,
          task: entry.task,
          test: entry.test,
          accuracy: entry.accuracy,
        });
        break;
      default:
        entry satisfies never;
    }
  };
  let last = clock();
  return {
    record,
    add(event) {
      if ('earlier' in event) event.earlier.forEach(keep);
      if (event.type === 'step') record.stepSeconds += clock() - last;
      if (event.type === 'step' || event.type === 'phaseStart') last = clock();
      const entry = metricsEntryOf(event);
      if (entry) keep(entry);
    },
  };
}

/** The key of an evaluation in {@link RunRecord}. */
export const evaluationKey = ({
  task,
  when,
  test,
}: Pick<RecordedEvaluation, 'task' | 'when' | 'test'>): string => `${task}/${when}/${test}`;
