/**
 * Which ranks of which linear belong to which task.
 *
 * For an adapted linear y = W₀x, LoRA adds ΔW = Σ_t c_t B_t A_t, where task t owns the rows of A and the columns of B in its
 * half-open span; the spans of a linear cover [0, its rank) without overlap.
 */
import { lookUp } from '../look-up.js';
import { LoraError } from '../lora-error.js';

/** Half-open range of ranks. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A linear that can be adapted, under the name PEFT gives its module at run time. */
export interface LinearShape {
  /** For example `model.text_model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Index of its decoder layer; absent for a connector. */
  readonly layerIndex?: number;
}

/** The ranks of one linear. */
export interface PartitionLayer {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Task → its ranks; a task may be absent. */
  readonly spans: Readonly<Record<string, Span>>;
}

export interface PartitionTask {
  readonly dependsOn: readonly string[];
  readonly alpha: number;
  /** c = alpha / rank, or alpha / sqrt(rank). */
  readonly scaling: 'standard' | 'rslora';
}

/** Plain JSON. */
export interface Partition {
  readonly version: 1;
  /** Order of creation: a task added later comes later. */
  readonly order: readonly string[];
  readonly tasks: Readonly<Record<string, PartitionTask>>;
  /** Name of a linear → its ranks. */
  readonly layers: Readonly<Record<string, PartitionLayer>>;
}

/** Ranks of a linear over all tasks. */
export const rankOfLayer = ({ spans }: PartitionLayer): number =>
  Math.max(0, ...Object.values(spans).map(({ end }) => end));

/** A task's ancestors in an order that respects dependencies, then the task itself. */
export function closureOf({ tasks }: Partition, task: string): string[] {
  const closure: string[] = [];
  const seen = new Set<string>();
  const visit = (id: string) => {
    const entry = lookUp(tasks, id);
    if (!entry)
      throw new LoraError('LORA_TASK_UNKNOWN', 'closureOf', `there is no task "${id}" in the partition`);
    if (seen.has(id)) return;
    seen.add(id);
    for (const parent of entry.dependsOn) visit(parent);
    closure.push(id);
  };
  visit(task);
  return closure;
}

/** c_t = alpha / rank, or alpha / sqrt(rank) for rsLoRA (Kalajdzievski 2023). */
export function scaleOf({ alpha, scaling }: PartitionTask, rank: number): number {
  return scaling === 'rslora' ? alpha / Math.sqrt(rank) : alpha / rank;
}
