/** What a stopped run needs to continue, and where it is kept. */

import type { FreezeCertificate } from './freeze-certificate.js';

/** How far a run has come: `step` steps of phase `phase` are done. Plain JSON. */
export interface RunPosition {
  readonly phase: number;
  readonly step: number;
  /** The certificate at the end of the last finished phase. */
  readonly certificate: FreezeCertificate;
  readonly fingerprint: RunFingerprint;
}

/**
 * What a run was made from: the name of each input, in words that a message can use, → its digest, or its value where that is short.
 * A checkpoint with another fingerprint is refused.
 */
export type RunFingerprint = Readonly<Record<string, string>>;

export interface Checkpoint {
  readonly position: RunPosition;
  /** The certificate of the segments that `files` hold, compared with those that were restored from them. */
  readonly segments: FreezeCertificate;
  /** The files of the model (TrainableModel.saveState): name → content. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** Keeps the latest checkpoint; `save` replaces it whole or not at all. */
export interface CheckpointStore {
  load(): Promise<Checkpoint | undefined>;
  save(checkpoint: Checkpoint): Promise<void>;
}
