/** What a run of the trainer tells while it goes on. */
import type { BestState } from './best-state.js';
import type { RunPosition } from './checkpoint.js';
import type { CertificateCheck, FreezeCertificate } from './freeze-certificate.js';
import type { TakenStep } from './take-round.js';

export type StepEvent = {
  readonly type: 'step';
  readonly phase: number;
  /** With `keepBest`, of the state after this step, where it was scored. */
  readonly score?: number;
} & TakenStep;

export type TrainEvent =
  | { readonly type: 'resume'; readonly position: RunPosition }
  | {
      readonly type: 'phaseStart';
      readonly phase: number;
      readonly tasks: readonly string[];
      readonly steps: number;
    }
  | StepEvent
  /** Steps of siblings that the model took at once. */
  | { readonly type: 'stepsTogether'; readonly phase: number; readonly steps: readonly StepEvent[] }
  | {
      readonly type: 'phaseEnd';
      readonly phase: number;
      readonly tasks: readonly string[];
      readonly certificate: FreezeCertificate;
      readonly check: CertificateCheck;
      /** Task → SHA-256 of its optimizer state: of the trained tasks alone. Absent if the model does not tell. */
      readonly optimizer?: FreezeCertificate;
      /** With `keepBest`: the step, from 0, whose state is kept, and its score. */
      readonly best?: Pick<BestState, 'step' | 'score'>;
    };
