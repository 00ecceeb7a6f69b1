/** Simulates a schedule: deterministic discrete events on a virtual clock. */
import { type CostModel, openCostModel } from '../cost/cost-model.js';
import { durationOf } from '../cost/duration.js';
import {
  atLeastZero,
  type Check,
  checkFields,
  flag,
  inputLimits,
  listOf,
  type Note,
  oneOf,
  within,
} from '../problem/check-values.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import type { Schedule } from '../schedule/schedule.js';
import { type InputProblem, problemsError, SchedulerError } from '../scheduler-error.js';
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
  checkSimulation(schedule, workloads, cluster, options);
  return simulateWith(openCostModel(workloads, cluster), schedule, options);
}

/** Options that are unknown or make no sense, and devices and tasks of the schedule that the problem does not have. */
function checkSimulation(
  { programs, placements }: Schedule,
  workloads: readonly Workload[],
  { devices }: Cluster,
  options: unknown,
): void {
  const problems: InputProblem[] = [];
  const note: Note = (path, message) => problems.push({ path, message });
  const deviceNames = new Map(devices.map(({ id }, index) => [id, index]));
  const taskNames = new Map(workloads.map(({ name }, index) => [name, index]));
  for (const [index, { device }] of programs.entries())
    oneOf(deviceNames, 'device of the cluster')(device, `schedule.programs[${index}].device`, note);
  for (const [index, { tasks }] of placements.entries())
    for (const task of tasks) oneOf(taskNames, 'workload')(task, `schedule.placements[${index}].tasks`, note);
  const loss = { device: oneOf(deviceNames, 'device of the cluster'), atSeconds: atLeastZero };
  const optional = {
    spans: flag,
    jitter: within('at least 0 and below 1', (jitter) => jitter >= 0 && jitter < 1),
    seed: within('a whole number', Number.isSafeInteger),
    losses: listOf((value, path) => {
      checkFields(value, path, { required: loss }, note);
    }, inputLimits.devices),
  } satisfies Record<keyof SimulateOptions, Check>;
  checkFields(options, 'options', { optional }, note);
  if (problems.length > 0) throw problemsError('SCHEDULER_INPUT_INVALID', 'simulate', problems);
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
