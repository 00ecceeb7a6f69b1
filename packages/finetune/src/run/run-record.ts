/** The parts of a run's events that its report needs: losses, certificates and evaluations. */
import type { CertificateCheck } from '@contextlora/trainer';

import type { TaskEvaluation } from './evaluate-task.js';
import type { RunEvent } from './train-run.js';

export interface LossPoint {
  /** Optimizer steps since the start of the run. */
  readonly step: number;
  readonly task: string;
  /** Nats. */
  readonly loss: number;
}

export interface PhaseCertificate {
  readonly tasks: readonly string[];
  readonly check: CertificateCheck;
  readonly certificate: Readonly<Record<string, string>>;
}

export interface RunRecord {
  readonly losses: readonly LossPoint[];
  readonly certificates: readonly PhaseCertificate[];
  /** `${task}/${when}/${test}` → evaluation. */
  readonly evaluations: ReadonlyMap<string, TaskEvaluation>;
  /** Seconds from the start of each phase to its last step, over the phases that ran in this process. */
  readonly stepSeconds: number;
}

/** Collects a record from the events given to `add`; `clock` gives monotonic seconds. */
export function recordRun({ clock }: { readonly clock: () => number }): {
  readonly record: RunRecord;
  readonly add: (event: RunEvent) => void;
} {
  const record = {
    losses: [] as LossPoint[],
    certificates: [] as PhaseCertificate[],
    evaluations: new Map<string, TaskEvaluation>(),
    stepSeconds: 0,
  };
  let last = clock();
  return {
    record,
    add(event) {
      switch (event.type) {
        case 'resume':
          break;
        case 'phaseStart':
          last = clock();
          break;
        case 'step':
          record.losses.push({ step: record.losses.length, task: event.task, loss: event.loss });
          record.stepSeconds += clock() - last;
          last = clock();
          break;
        case 'phaseEnd':
          record.certificates.push({
            tasks: event.tasks,
            check: event.check,
            certificate: event.certificate,
          });
          break;
        case 'evaluated':
          record.evaluations.set(`${event.task}/${event.when}/${event.test}`, event);
          break;
        default:
          event satisfies never;
      }
    },
  };
}
