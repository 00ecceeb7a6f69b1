/**
 * Which ranks of which layer belong to which task.
 *
 * For an adapted linear layer y = W₀x, LoRA adds ΔW = Σ_t c_t B_t A_t, where task t owns the rows of A and the columns of B in
 * its half-open span; the spans of a layer cover [0, rank of that layer) without overlap.
 */

/** Half-open range of ranks. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A linear layer that can be adapted, under the name PEFT gives its module at run time. */
export interface LinearShape {
  /** For example `model.text_model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Index of the decoder layer it belongs to; absent for a projector. */
  readonly layerIndex?: number;
}

export interface PartitionLayer {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Ranks owned by each task here; a task may be absent from a layer. */
  readonly spans: Readonly<Record<string, Span>>;
}

export interface PartitionTask {
  readonly dependsOn: readonly string[];
  readonly alpha: number;
  /** c = alpha / rank, or alpha / sqrt(rank). */
  readonly scaling: 'standard' | 'rslora';
}

/** Plain JSON: can be written to a file, looked at and read back. */
export interface Partition {
  readonly version: 1;
  /** Order of creation: a task added later comes later. */
  readonly order: readonly string[];
  readonly tasks: Readonly<Record<string, PartitionTask>>;
  readonly layers: Readonly<Record<string, PartitionLayer>>;
}
