/** What a stopped run needs to go on, and where it is kept. */

/** Where a run stands: `step` steps of phase `phase` are done. Plain JSON. */
export interface RunPosition {
  readonly phase: number;
  readonly step: number;
  /** The certificate at the end of the last finished phase. */
  readonly certificate: Readonly<Record<string, string>>;
  /** Equal runs have equal fingerprints: a checkpoint of another run is refused. */
  readonly fingerprint: string;
}

export interface Checkpoint {
  readonly position: RunPosition;
  /** The model's own files (TrainableModel.saveState). */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** Keeps the latest checkpoint; a later `save` replaces it whole or not at all. */
export interface CheckpointStore {
  load(): Promise<Checkpoint | undefined>;
  save(checkpoint: Checkpoint): Promise<void>;
}
