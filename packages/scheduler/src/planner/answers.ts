/** Forward passes without training on a job's lane: parents answer its prompts before its first step, its tasks their validation rows after the last. */
import { computeSeconds } from '../cost/duration.js';
import { airSeconds } from '../cost/routes.js';
import { boundaryBytes } from '../cost/task-costs.js';

import type { Job } from './jobs.js';
import type { Mode, ModeInterval } from './modes.js';
import type { Answer, Run } from './run.js';

export function answersOf({ graph, costs }: Run, job: Job, mode: Mode): Answer[] {
  const answer = (
    task: number,
    reason: Answer['reason'],
    samples: number,
    interval: ModeInterval,
  ): Answer => ({
    task: costs.tasks[task]!.name,
    reason,
    samples,
    seconds: forwardSeconds(costs, task, samples, interval),
  });
  const [first] = mode.intervals;
  return job.tasks.flatMap((task) => {
    const { name, promptSamples = 0, validationSamples = 0 } = graph.workloads[task]!;
    const last = mode.intervals.findLast(({ problem }) => problem.tasks.includes(name))!;
    return [
      ...(promptSamples > 0
        ? graph.parents[task]!.map((parent) => answer(parent, 'prompts', promptSamples, first!))
        : []),
      ...(validationSamples > 0 ? [answer(task, 'validation', validationSamples, last)] : []),
    ];
  });
}

/**
 * Forward passes of as many samples as a micro-batch has, one after the other through the stages:
 *
 *   Σ_s t_s + (passes − 1) · max_s t_s,   t_s = forward of the slowest member + sending the output on
 */
function forwardSeconds(
  costs: Run['costs'],
  taskIndex: number,
  samples: number,
  { problem, assessment: { placement } }: ModeInterval,
): number {
  const task = costs.tasks[taskIndex]!;
  const { stages, microbatches } = placement;
  const most = Math.max(...problem.tasks.map((name) => costs.taskNamed(name).samples));
  const perPass = Math.min(samples, Math.ceil(most / microbatches));
  const times = stages.map(({ start, end, members }, index) => {
    const computing = members.map(({ device, share, work = 1 }) =>
      computeSeconds(
        costs.deviceNamed(device),
        task,
        'forward',
        { start, end, work },
        work < 1 ? perPass : Math.ceil(perPass * share),
      ),
    );
    const next = stages[index + 1];
    if (!next) return Math.max(...computing);
    const route = costs.routes.route(
      costs.deviceIndex(members[0]!.device),
      costs.deviceIndex(next.members[0]!.device),
    )!;
    return (
      Math.max(...computing) + airSeconds(route, perPass * boundaryBytes(task, end)) + route.latencySeconds
    );
  });
  const passes = Math.ceil(samples / perPass);
  return times.reduce((a, b) => a + b, 0) + (passes - 1) * Math.max(...times);
}
