/** A pipeline as it is to run: what a planner decided, and what is needed to lay out a step of it. */
import {
  buildSchedule,
  type Cluster,
  type CostModel,
  openCostModel,
  type Placement,
  type Policy,
  type Schedule,
  type Workload,
} from '@contextlora/scheduler';

export interface PlacedPipeline {
  /** Of all tasks of the phase; the samples of a step are those that come. */
  readonly workloads: readonly Workload[];
  readonly cluster: Cluster;
  /** Its number of micro-batches is the one that comes. */
  readonly placement: Placement;
  readonly policy: Policy;
  /** Messages a sender may have under way, and a receiver may hold unread, per channel. @default 2 */
  readonly window?: number;
}

/** Tasks that step together, each with the sizes of its micro-batches. */
export interface StepShape {
  readonly task: string;
  readonly sizes: readonly number[];
}

export interface LaidOutStep {
  readonly costs: CostModel;
  readonly placement: Placement;
  readonly workloads: readonly Workload[];
  readonly schedule: Schedule;
}

/** The schedule of one step of some of the pipeline's tasks. */
export function layOutStep(
  { workloads, cluster, placement, policy, window = 2 }: PlacedPipeline,
  shapes: readonly StepShape[],
): LaidOutStep {
  const active = shapes.map(({ task, sizes }): Workload => {
    const workload = workloads.find(({ name }) => name === task)!;
    return { ...workload, samples: sizes.reduce((sum, size) => sum + size, 0) };
  });
  const costs = openCostModel(active, cluster);
  const microbatches = Math.max(...shapes.map(({ sizes }) => sizes.length));
  const placed = { ...placement, tasks: shapes.map(({ task }) => task), microbatches };
  const schedule = buildSchedule(costs, [placed], { policy, steps: 1, window });
  return { costs, placement: placed, workloads: active, schedule };
}
