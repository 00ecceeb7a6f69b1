/** A timeline's devices in pipeline order, each with its spans sorted by kind: what the chart and the trace of a step have in common. */
import { formatLayers } from '../format.js';
import { SchedulerError } from '../scheduler-error.js';
import type { Schedule } from '../schedule/schedule.js';
import type { DeviceUse, IdleCause, Span, Timeline } from '../simulate/timeline.js';
import { lanesOf } from './chart.js';

/** What a box in a chart stands for: a span's type, distinguished further where that helps the reader. */
export type SpanKind =
  | Exclude<Span['type'], 'waiting'>
  /** a forward pass below everything its task trains, so that no backward pass follows */
  | 'frozenForward'
  | `waiting-${IdleCause}`;

export interface DrawnSpan extends Span {
  readonly kind: SpanKind;
}

export interface StepRow {
  readonly device: string;
  readonly placement: number;
  readonly stage: number;
  /** `layers 0–7`. */
  readonly layers: string;
  /** Whether no task has a backward pass here. */
  readonly frozen: boolean;
  readonly use: DeviceUse;
  /** Work and waiting, which alternate, by their start. */
  readonly work: readonly DrawnSpan[];
  /** Lanes of transfers that do not overlap. */
  readonly transfers: readonly (readonly DrawnSpan[])[];
}

/** @throws SchedulerError when the timeline belongs to another schedule or has no spans. */
export function stepRowsOf(timeline: Timeline, schedule: Schedule, caller: string): StepRow[] {
  const { devices, makespanSeconds, spans } = timeline;
  if (spans.length === 0 && makespanSeconds > 0)
    throw new SchedulerError(
      'SCHEDULER_VIEW_INVALID',
      caller,
      'the timeline has no spans; simulate with { spans: true }',
    );
  const uses = new Map(devices.map((use) => [use.device, use]));
  const spansOf = new Map<string, Span[]>(devices.map(({ device }) => [device, []]));
  for (const span of spans) spansOf.get(span.device)?.push(span);
  const backward = stagesWithBackward(schedule);
  const { placements, programs } = schedule;
  return programs
    .toSorted((a, b) => a.placement - b.placement || a.stage - b.stage)
    .map(({ device, placement, stage }): StepRow => {
      const use = uses.get(device);
      if (!use)
        throw new SchedulerError(
          'SCHEDULER_NAME_UNKNOWN',
          caller,
          `the timeline knows no device "${device}"; pass the schedule it was simulated from`,
        );
      const { tasks, stages } = placements[placement]!;
      const { start, end } = stages[stage]!;
      const hasBackward = (task: string) => backward.has(stageKey(placement, stage, task));
      const drawn = [...spansOf.get(device)!, ...ending(use, makespanSeconds)]
        .map((span): DrawnSpan => ({ ...span, kind: kindOf(span, hasBackward) }))
        .sort((a, b) => a.startSeconds - b.startSeconds || a.endSeconds - b.endSeconds);
      return {
        device,
        placement,
        stage,
        layers: formatLayers(start, end),
        frozen: !tasks.some(hasBackward),
        use,
        work: drawn.filter((span) => !isTransfer(span)),
        transfers: lanesOf(drawn.filter(isTransfer)),
      };
    });
}

const isTransfer = ({ type }: Span): boolean =>
  type === 'sendActivation' || type === 'sendGradient' || type === 'collective';

const stageKey = (placement: number, stage: number, task: string) => `${placement} ${stage} ${task}`;

function stagesWithBackward({ programs }: Schedule): Set<string> {
  const found = new Set<string>();
  for (const { placement, stage, instructions } of programs)
    for (const { type, task } of instructions)
      if (type === 'backwardInput' || type === 'backwardWeight') found.add(stageKey(placement, stage, task));
  return found;
}

function kindOf({ type, task, cause }: Span, hasBackward: (task: string) => boolean): SpanKind {
  if (type === 'waiting') return `waiting-${cause ?? 'activation'}`;
  return type === 'forward' && task !== undefined && !hasBackward(task) ? 'frozenForward' : type;
}

/** The time after a device's last instruction has no span of its own. */
function ending({ device, idleSeconds }: DeviceUse, makespanSeconds: number): Span[] {
  const lostSeconds = makespanSeconds - idleSeconds.lost;
  const span = (cause: 'finished' | 'lost', startSeconds: number, endSeconds: number): Span[] =>
    endSeconds > startSeconds ? [{ device, type: 'waiting', cause, startSeconds, endSeconds }] : [];
  return [
    ...span('finished', lostSeconds - idleSeconds.finished, lostSeconds),
    ...span('lost', lostSeconds, makespanSeconds),
  ];
}
