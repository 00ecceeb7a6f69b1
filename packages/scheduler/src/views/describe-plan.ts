/** A plan in words, for people. */
import { formatBytes, formatJoules, formatLayers, formatSeconds, plural } from '../format.js';
import { contextGearName } from '../planner/context-gear-name.js';
import type { Plan, PlannedInterval, PlannedJob, PlannedPower } from '../planner/planned.js';
import type { Cluster } from '../problem/cluster.js';
import type { Placement } from '../schedule/placement.js';
import type { IdleCause } from '../simulate/timeline.js';
import type { TimedSpan } from './chart.js';
import { describeAnswer, describeTransfer } from './run-chart.js';

type Explanation = Plan['explanation'];
type IntervalExplanation = Explanation['intervals'][number];

/**
 * A plan on several lines: how long it takes, what decides that, what every job does where and when, what binds it, what was rejected, and
 * which devices are not used and why.
 */
export function describePlan(plan: Plan, { resident, keeper }: Cluster): string {
  const { jobs, totalJoules, power, explanation } = plan;
  const intervals = explanation.intervals.values();
  return [
    `${formatSeconds(plan.totalSeconds)} in all, ${formatBytes(plan.totalBytes)} sent` +
      (totalJoules === undefined ? '' : `, ${formatJoules(totalJoules)}`) +
      `; no plan takes less than ${formatSeconds(plan.lowerBoundSeconds)} (gap ${percent(plan.gap)}, ${plan.search} search)`,
    resident
      ? `holding the base model at the start: ${resident.length === 0 ? 'no device' : resident.join(', ')}`
      : 'every device is taken to hold the base model already',
    ...(keeper === undefined ? [] : [`finished segments go to ${keeper}`]),
    ...(power ? describePower(power) : []),
    `critical path: ${explanation.criticalPath.join(' → ')}`,
    ...jobs.flatMap((job, index) =>
      describeJob(
        job,
        explanation.jobs[index]!,
        job.intervals.map(() => intervals.next().value!),
      ),
    ),
    ...explanation.unused.map(({ device, reason, ratio }) => {
      const slower =
        ratio === undefined ? 'no plan with it was better' : `with it the plan takes ${against(ratio)}`;
      return `${device} is not used: ${reason === 'slower' ? slower : reasonText[reason]}`;
    }),
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
  { after, rejected }: Explanation['jobs'][number],
  reasons: readonly IntervalExplanation[],
): string[] {
  const at = (one: TimedSpan) =>
    `at ${formatSeconds(one.startSeconds)} for ${formatSeconds(one.endSeconds - one.startSeconds)}`;
  const parts: (readonly [TimedSpan, readonly string[]])[] = [
    ...fetches.map((one) => [one, [`fetches ${describeTransfer(one)}, ${at(one)}`]] as const),
    ...intervals.map((one, index) => [one, describeInterval(one, reasons[index]!)] as const),
    ...answers.map(
      (one) => [one, [`${describeAnswer(one)} on ${one.devices.join(' + ')}, ${at(one)}`]] as const,
    ),
    ...collects.map((one) => [one, [`hands over ${describeTransfer(one)}, ${at(one)}`]] as const),
  ];
  return [
    `${tasks.join(' + ')}: ${formatSeconds(startSeconds)} to ${formatSeconds(endSeconds)} on ${devices.join(' + ')}` +
      (after ? `, after ${after.join(' + ')}` : ''),
    ...parts
      .sort(([a], [b]) => a.startSeconds - b.startSeconds)
      .flatMap(([, lines]) => lines.map((line) => `  ${line}`)),
    ...rejected.map(
      (other) => `  on ${other.devices.join(' + ')} instead: the whole plan takes ${against(other.ratio)}`,
    ),
  ];
}

function describeInterval(
  { steps, stepSeconds, cache, placement, strategy, policy }: PlannedInterval,
  { binding, devices, rejected }: IntervalExplanation,
): string[] {
  const cached = Object.entries(cache).map(([task, mode]) => `, ${mode}s the cache of ${task}`);
  const idle = devices.map(
    ({ device, idleFraction, mainCause }) =>
      `${device} ${percent(idleFraction)}${mainCause && idleFraction >= 0.005 ? ` (${causeText[mainCause]})` : ''}`,
  );
  return [
    `${plural(steps, 'step')} of ${formatSeconds(stepSeconds)}${cached.join('')}`,
    `  ${describePlacement(placement)} (${strategy === contextGearName ? policy : strategy})`,
    `  bound by ${bindingText(binding)}, reached to ${percent(binding.reached)}`,
    `  idle: ${idle.join(', ')}`,
    ...rejected.map((other) => `  rejected, ${against(other.ratio)}: ${describePlacement(other.placement)}`),
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

const reasonText = {
  memory: 'it cannot hold a single layer',
  unreachable: 'no link leads to it',
};

function bindingText({ kind, name }: IntervalExplanation['binding']): string {
  switch (kind) {
    case 'device':
      return `the computing of ${name}`;
    case 'medium':
      return `the air of ${name}`;
    case 'link':
      return `the link ${name}`;
    case 'flush':
      return `filling and draining the pipeline for every step of ${name}`;
    case 'memory':
      return `the memory of ${name}, which keeps too few micro-batches in flight`;
    default:
      return kind satisfies never;
  }
}

const against = (ratio: number): string =>
  ratio < 0.9995
    ? `${percent(1 - ratio)} less time by itself, but the move to it outweighs that`
    : `${percent(ratio - 1)} more`;

const percent = (fraction: number): string => `${(100 * fraction).toFixed(fraction < 0.0995 ? 1 : 0)} %`;
