/** A plan in words, for people. */
import { formatBytes, formatJoules, formatSeconds } from '../format.js';
import { contextGearName } from '../planner/context-gear-name.js';
import type { Plan } from '../planner/planned.js';
import type { Placement } from '../schedule/placement.js';
import type { IdleCause } from '../simulate/timeline.js';

/** A plan on several lines: what runs where, what it costs, what binds it, which devices are not used and why, what was rejected. */
export function describePlan(plan: Plan): string {
  const lines = [
    `${formatSeconds(plan.totalSeconds)} in all, ${formatBytes(plan.totalBytes)} sent` +
      (plan.totalJoules === undefined ? '' : `, ${formatJoules(plan.totalJoules)}`) +
      `; no plan takes less than ${formatSeconds(plan.lowerBoundSeconds)} (gap ${percent(plan.gap)}, ${plan.search} search)`,
  ];
  if (plan.power) {
    const { modes, leftOut, plansCompared } = plan.power;
    const chosen = Object.entries(modes).map(([device, mode]) => `${device} in ${mode}`);
    lines.push(
      `power: ${chosen.length > 0 ? chosen.join(', ') : 'every device as its profile says'} (${plansCompared} plans compared)`,
    );
    for (const { device, reason } of leftOut)
      lines.push(
        `  ${device} is left out: ` +
          (reason === 'watts'
            ? 'no mode is within its watts'
            : 'with it the plan would exceed a limit of joules'),
      );
  }
  let index = 0;
  for (const [number, wave] of plan.waves.entries()) {
    lines.push(`wave ${number + 1}: ${wave.tasks.join(', ')}; ${formatSeconds(wave.seconds)}`);
    for (const { intervals } of wave.lanes)
      for (const interval of intervals) {
        const why = plan.explanation.intervals[index++]!;
        const cached = Object.entries(interval.cache).map(([task, mode]) => `${mode}s the cache of ${task}`);
        lines.push(
          `  ${interval.tasks.join(' + ')}, ${interval.steps} step${interval.steps === 1 ? '' : 's'} of ${formatSeconds(interval.stepSeconds)}` +
            (cached.length > 0 ? `, ${cached.join(', ')}` : ''),
          `    ${describePlacement(interval.placement)} (${interval.strategy === contextGearName ? interval.policy : interval.strategy})`,
        );
        if (interval.moveBytes > 0)
          lines.push(
            `    moved before it: ${formatBytes(interval.moveBytes)} in ${formatSeconds(interval.moveSeconds)}`,
          );
        lines.push(`    bound by ${bindingText(why.binding)}, reached to ${percent(why.binding.reached)}`);
        lines.push(
          `    idle: ${why.devices
            .map(
              ({ device, idleFraction, mainCause }) =>
                `${device} ${percent(idleFraction)}${mainCause && idleFraction >= 0.005 ? ` (${causeText[mainCause]})` : ''}`,
            )
            .join(', ')}`,
        );
        for (const { device, reason, ratio } of why.unused)
          lines.push(
            `    ${device} is not used: ` +
              (reason === 'memory'
                ? 'it cannot hold a single layer'
                : reason === 'unreachable'
                  ? 'no link leads to it'
                  : ratio === undefined
                    ? 'no placement with it was better'
                    : `the best placement with it takes ${against(ratio)}`),
          );
        for (const { placement, ratio } of why.rejected)
          lines.push(`    rejected, ${against(ratio)}: ${describePlacement(placement)}`);
      }
  }
  for (const [number, ways] of plan.explanation.waves.entries())
    for (const { sharing, withoutCache, ratio } of ways)
      lines.push(
        `level ${number + 1} ${sharingText[sharing]}${withoutCache ? ', without the cache' : ''} instead: ` +
          `the whole plan takes ${against(ratio)}`,
      );
  return lines.join('\n');
}

/** As in `layers 0–7 on nano + tx2 | layers 8–23 on orin; 8 micro-batches`. */
export function describePlacement({ stages, microbatches }: Placement): string {
  const parts = stages.map(
    ({ start, end, members }) =>
      `layers ${start}–${end - 1} on ${members.map(({ device }) => device).join(' + ')}`,
  );
  return `${parts.join(' | ')}; ${microbatches} micro-batch${microbatches === 1 ? '' : 'es'}`;
}

const sharingText: Readonly<Record<Plan['explanation']['waves'][number][number]['sharing'], string>> = {
  inTurn: 'one after the other',
  apart: 'apart, on devices of their own',
  together: 'together in one pipeline',
};

const causeText: Readonly<Record<IdleCause, string>> = {
  activation: 'waits for activations',
  gradient: 'waits for gradients',
  backpressure: 'waits for the link',
  collective: 'waits for its group',
  finished: 'done before the others',
  lost: 'lost',
};

function bindingText({ kind, name }: Plan['explanation']['intervals'][number]['binding']): string {
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
