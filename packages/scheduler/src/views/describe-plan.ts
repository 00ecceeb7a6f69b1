/** A plan in words, for people. */
import { formatBytes, formatJoules, formatLayers, formatSeconds, plural } from '../format.js';
import { contextGearName } from '../planner/context-gear-name.js';
import type { Explanation, UnusedDevice } from '../planner/explain.js';
import type { Plan, PlannedInterval, PlannedJob, PlannedPower } from '../planner/planned.js';
import type { Cluster } from '../problem/cluster.js';
import type { Placement } from '../schedule/placement.js';
import type { IdleCause } from '../simulate/timeline.js';
import { describeTransfer } from './run-chart.js';

type JobExplanation = Explanation['jobs'][number];

/**
 * A plan on several lines: how long it takes, what decides that, what every job does where and when, what binds it, what was rejected, and
 * which devices are not used and why.
 */
export function describePlan(plan: Plan, { resident, keeper }: Pick<Cluster, 'resident' | 'keeper'>): string {
  const { jobs, totalJoules, power, explanation } = plan;
  const why = new Map(explanation.jobs.map((job) => [job.tasks.join('+'), job]));
  return [
    `${formatSeconds(plan.totalSeconds)} in all, ${formatBytes(plan.totalBytes)} sent` +
      (totalJoules === undefined ? '' : `, ${formatJoules(totalJoules)}`) +
      `; no plan takes less than ${formatSeconds(plan.lowerBoundSeconds)} (gap ${percent(plan.gap)}, ${plan.search} search)`,
    resident
      ? `at the start, ${resident.length === 0 ? 'no device holds' : `only ${resident.join(', ')} hold${resident.length === 1 ? 's' : ''}`} the base model`
      : 'every device is taken to hold the base model already',
    ...(keeper === undefined ? [] : [`finished segments go to ${keeper}`]),
    ...(power ? describePower(power) : []),
    `critical path: ${explanation.criticalPath.join(' → ')}`,
    ...jobs.flatMap((job) => describeJob(job, why.get(job.tasks.join('+')))),
    ...explanation.unused.map((unused) => `${unused.device} is not used: ${reasonText(unused)}`),
  ].join('\n');
}

const describePower = ({ modes, leftOut, plansCompared }: PlannedPower): string[] => {
  const chosen = Object.entries(modes).map(([device, mode]) => `${device} in ${mode}`);
  return [
    `power: ${chosen.length > 0 ? chosen.join(', ') : 'every device as its profile says'} (${plansCompared} plans compared)`,
    ...leftOut.map(
      ({ device, reason }) =>
        `  ${device} is left out: ` +
        (reason === 'watts'
          ? 'no mode is within its watts'
          : 'with it the plan would exceed a limit of joules'),
    ),
  ];
};

function describeJob(
  { tasks, devices, startSeconds, endSeconds, fetches, answers, intervals, collects }: PlannedJob,
  why: JobExplanation | undefined,
): string[] {
  const span = (one: { startSeconds: number; endSeconds: number }) =>
    `${formatSeconds(one.startSeconds)} to ${formatSeconds(one.endSeconds)}`;
  return [
    `${tasks.join(' + ')}: ${span({ startSeconds, endSeconds })} on ${devices.join(' + ')}`,
    ...fetches.map((fetch) => `  fetches ${describeTransfer(fetch)}, ${span(fetch)}`),
    ...answers.map(
      (answer) =>
        `  ${answer.task} answers ${plural(answer.samples, 'sample')} (${answer.reason}) on ${answer.devices.join(' + ')}, ${span(answer)}`,
    ),
    ...intervals.flatMap((interval, index) => describeInterval(interval, intervals[index - 1])),
    ...collects.map((collect) => `  collected: ${describeTransfer(collect)}, ${span(collect)}`),
    ...(why
      ? [
          `  bound by ${bindingText(why.binding)}, reached to ${percent(why.binding.reached)}`,
          `  idle: ${why.devices
            .map(
              ({ device, idleFraction, mainCause }) =>
                `${device} ${percent(idleFraction)}${mainCause && idleFraction >= 0.005 ? ` (${causeText[mainCause]})` : ''}`,
            )
            .join(', ')}`,
          ...why.rejected.map(
            ({ placement, ratio }) => `  rejected, ${against(ratio)}: ${describePlacement(placement)}`,
          ),
        ]
      : []),
  ];
}

/** An interval's placement is not repeated where it is the one before. */
function describeInterval(
  { steps, stepSeconds, cache, placement, strategy, policy }: PlannedInterval,
  before: PlannedInterval | undefined,
): string[] {
  const placed = describePlacement(placement);
  const cached = Object.entries(cache).map(([task, mode]) => `, ${mode}s the cache of ${task}`);
  return [
    `  ${plural(steps, 'step')} of ${formatSeconds(stepSeconds)}${cached.join('')}`,
    ...(before && describePlacement(before.placement) === placed
      ? []
      : [`    ${placed} (${strategy === contextGearName ? policy : strategy})`]),
  ];
}

/** As in `layers 0–7 on nano + tx2 | layers 8–23 on orin; 8 micro-batches`. */
export function describePlacement({ stages, microbatches }: Placement): string {
  const parts = stages.map(
    ({ start, end, members }) =>
      `${formatLayers(start, end)} on ${members.map(({ device }) => device).join(' + ')}`,
  );
  return `${parts.join(' | ')}; ${microbatches} micro-batch${microbatches === 1 ? '' : 'es'}`;
}

const causeText: Readonly<Record<IdleCause, string>> = {
  activation: 'waits for activations',
  gradient: 'waits for gradients',
  backpressure: 'waits for the link',
  collective: 'waits for its group',
  finished: 'done before the others',
  lost: 'lost',
};

function reasonText({ reason, ratio }: UnusedDevice): string {
  if (reason === 'memory') return 'it cannot hold a single layer';
  if (reason === 'unreachable') return 'no link leads to it';
  return ratio === undefined
    ? 'no placement with it was better'
    : `the best placement with it takes ${against(ratio)}`;
}

function bindingText({ kind, name }: JobExplanation['binding']): string {
  switch (kind) {
    case 'device':
      return `the computing of ${name}`;
    case 'medium':
      return `the air of ${name}`;
    case 'link':
      return `the link ${name}`;
    case 'flush':
      return `filling and draining the pipeline for every step of ${name}`;
    default:
      return kind satisfies never;
  }
}

const against = (ratio: number): string =>
  ratio < 0.9995
    ? `${percent(1 - ratio)} less time by itself, but the move to it outweighs that`
    : `${percent(ratio - 1)} more`;

const percent = (fraction: number): string => `${(100 * fraction).toFixed(fraction < 0.0995 ? 1 : 0)} %`;
