/** The workloads of a task graph, from a model's dimensions and a few settings. */
import { partitionRanks } from '@contextlora/lora';
import { linearsOf, type ModelSpec } from '@contextlora/model';
import type { Workload } from '@contextlora/scheduler';
import { levelsOf, tasksOf, type TaskGraph } from '@contextlora/task-graph';
import { planPhases } from '@contextlora/trainer';

import type { KeptFormat } from './base-bytes.js';
import { workloadsOf } from './workloads-of.js';

export interface GraphWorkloadSettings {
  /** Ranks per linear layer, divided among all tasks. */
  readonly rank: number;
  /** Samples per optimizer step. */
  readonly samples: number;
  /** Tokens per sample. */
  readonly tokens: number;
  /** Tokens per sample that the loss scores. */
  readonly answered: number;
  /** Optimizer steps per task. */
  readonly steps: number;
  readonly epochs: number;
  /** Format of the frozen weights in memory. */
  readonly base: KeptFormat;
  /** Give tasks on deeper levels ranks in upper layers only: level 1 in the upper half, level 2 in the upper quarter, and so on. */
  readonly frozenPrefix: boolean;
}

/** One workload per task of the graph. */
export function graphWorkloads(
  spec: ModelSpec,
  graph: TaskGraph,
  { rank, samples, tokens, answered, steps, epochs, base, frozenPrefix }: GraphWorkloadSettings,
): Workload[] {
  const { layerCount } = spec.text;
  const tasks = tasksOf(graph);
  const levels = levelsOf(graph);
  const only = Object.fromEntries(
    tasks.map(({ id }) => [
      id,
      {
        from: Math.min(layerCount - 1, Math.round(layerCount * (1 - 0.5 ** (levels[id] ?? 0)))),
        to: layerCount,
      },
    ]),
  );
  const linears = linearsOf(spec);
  const partition = partitionRanks(
    frozenPrefix ? linears.filter(({ layerIndex }) => layerIndex !== undefined) : linears,
    tasks,
    { rank, ...(frozenPrefix ? { only } : {}) },
  );
  return workloadsOf(spec, partition, planPhases(graph), {
    base,
    trainingOf: () => ({
      sample: { tokens, answered, images: spec.vision ? 1 : 0, audioPositions: spec.audio?.positions ?? 0 },
      samples,
      steps,
      epochs,
    }),
  });
}
