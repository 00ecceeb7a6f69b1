/** Simulates a schedule: deterministic discrete events on a virtual clock. */
import { type CostModel, openCostModel } from '../cost/cost-model.js';
import { durationOf } from '../cost/duration.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import type { Schedule } from '../schedule/schedule.js';
import { SchedulerError } from '../scheduler-error.js';
import { playPrograms } from './play-programs.js';
import { createRandom } from './random.js';
import { recordTimeline } from './record-timeline.js';
import type { Timeline } from './timeline.js';

export interface SimulateOptions {
  /** Keep every span; takes memory in large simulations. */
  readonly spans?: boolean;
  /** Every duration is multiplied by a factor drawn from [1 − jitter, 1 + jitter]. */
  readonly jitter?: number;
  readonly seed?: number;
  /** Devices that stop for good, and when. */
  readonly losses?: readonly { readonly device: string; readonly atSeconds: number }[];
}

/** @throws SchedulerError when the schedule names a device, task or link the problem does not have, or when it can never end. */
export function simulate(
  schedule: Schedule,
  workloads: readonly Workload[],
  cluster: Cluster,
  options: SimulateOptions = {},
): Timeline {
  return simulateWith(openCostModel(workloads, cluster), schedule, options);
}

/** As `simulate`, for callers that ask many questions of one problem. */
export function simulateWith(
  costs: CostModel,
  schedule: Schedule,
  { spans = true, jitter = 0, seed = 0, losses = [] }: SimulateOptions = {},
): Timeline {
  const random = createRandom(seed);
  const vary = (seconds: number) => (jitter > 0 ? seconds * (1 + jitter * (2 * random() - 1)) : seconds);
  const { recorder, timelineOf } = recordTimeline(costs, schedule, spans);
  const played = playPrograms(costs, schedule, {
    price: (instruction, { device, stage }) => vary(durationOf(costs, instruction, device, stage)),
    vary,
    lostAt: (device) => losses.find((loss) => loss.device === device)?.atSeconds ?? Infinity,
    recorder,
  });
  const stalled = played.find(({ at, program }) => at < program.instructions.length);
  if (stalled && losses.length === 0)
    throw new SchedulerError(
      'SCHEDULER_SCHEDULE_ENDLESS',
      'simulate',
      `the schedule can never end; "${stalled.program.device}" waits at instruction ${stalled.at}, ` +
        JSON.stringify(stalled.program.instructions[stalled.at]),
    );
  return timelineOf(played);
}
