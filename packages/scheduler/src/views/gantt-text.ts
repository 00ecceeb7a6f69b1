/** A timeline for the terminal: a line per device, a character per slot of time. */
import { SchedulerError } from '../scheduler-error.js';
import type { Schedule } from '../schedule/schedule.js';
import type { IdleCause, Span, Timeline } from '../simulate/timeline.js';
import { cellsOf, fit, printable, wrap } from './cells.js';
import { type Chart, chartOf, type ChartRow, type DrawnSpan, type SpanKind } from './chart-rows.js';
import { formatBytes, formatPercent, formatSeconds, plural, timeTicks } from '../format.js';
import { spanStyles } from './span-style.js';

export interface DrawGanttTextOptions {
  /** Width of the terminal. */
  readonly columns?: number;
  /** Adds ANSI colours. */
  readonly colour?: boolean;
}

/** What fills a slot. */
interface Mark {
  readonly character: string;
  /** Decides the colour. */
  readonly kind: SpanKind;
}

const leastColumns = 50;
/** ` 67%  33% backpressure` */
const useWidth = 23;

/** The timeline as lines of text, none wider than `columns`. */
export function drawGanttText(
  timeline: Timeline,
  schedule: Schedule,
  { columns = 100, colour = false }: DrawGanttTextOptions = {},
): string {
  if (columns < leastColumns)
    throw new SchedulerError(
      'SCHEDULER_VIEW_INVALID',
      'drawGanttText',
      `${columns} columns are too few, give at least ${leastColumns}`,
    );
  const chart = chartOf(timeline, schedule, 'drawGanttText');
  const { rows } = chart;
  const several = schedule.placements.length > 1;
  const stages = rows.map(
    ({ placement, stage, frozen }) => `${several ? `${placement}.` : ''}${stage}${frozen ? '*' : ' '}`,
  );
  const stageWidth = Math.max(6, ...stages.map(({ length }) => length));
  const names = rows.map(({ device }) => printable(device));
  const nameWidth = Math.min(
    Math.max(6, ...names.map(cellsOf)),
    Math.max(6, Math.floor(columns / 4) - stageWidth),
  );
  const left = stageWidth + 1 + nameWidth + 1;
  const width = columns - left - useWidth;
  const offset = numberingOf(schedule);
  const lines = rows.map((row, index) => {
    const marks = slotsOf(row, timeline.makespanSeconds, width, offset);
    return `${stages[index]!.padStart(stageWidth)} ${fit(names[index]!, nameWidth)} ${paint(marks, colour)}${useOf(row, timeline)}`;
  });
  const head = `${'stage '.padStart(stageWidth)} ${fit('device', nameWidth)} ${axis(timeline, width)} busy idle cause`;
  return [
    ...wrap(summaryOf(timeline, schedule, chart), columns),
    head,
    ...lines,
    ...wrap(legendOf(chart, schedule, offset), columns),
  ]
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** Micro-batches are numbered across all tasks of a pipeline, so that those of siblings differ. */
const numberingOf =
  ({ placements }: Schedule) =>
  (placement: number, task: string): number => {
    const { tasks, microbatches } = placements[placement]!;
    return Math.max(0, tasks.indexOf(task)) * microbatches;
  };

type Numbering = ReturnType<typeof numberingOf>;

function slotsOf(row: ChartRow, makespanSeconds: number, width: number, offset: Numbering): Mark[] {
  const slot = makespanSeconds / width;
  const work = Array.from({ length: width }, () => new Map<string, { mark: Mark; seconds: number }>());
  const sending = new Float64Array(width);
  const share = (span: DrawnSpan, give: (index: number, seconds: number) => void) => {
    const first = Math.min(width - 1, Math.floor(span.startSeconds / slot));
    for (let index = first; index < width && index * slot < span.endSeconds; index++) {
      const seconds =
        Math.min(span.endSeconds, (index + 1) * slot) - Math.max(span.startSeconds, index * slot);
      if (seconds > 0) give(index, seconds);
    }
  };
  for (const span of row.work) {
    if (span.type === 'waiting') continue;
    const character = characterOf(span, offset(row.placement, span.task ?? ''));
    const key = `${span.kind} ${character}`;
    share(span, (index, seconds) => {
      const entry = work[index]!.get(key) ?? { mark: { character, kind: span.kind }, seconds: 0 };
      entry.seconds += seconds;
      work[index]!.set(key, entry);
    });
  }
  for (const span of row.transfers.flat())
    share(span, (index, seconds) => {
      sending[index] = Math.max(sending[index]!, seconds);
    });
  // Work too short for a slot is carried over, so that the slots that show work add up to the device's busy time; the tolerance keeps
  // rounding from deciding ties.
  const half = slot * (0.5 - 1e-9);
  let carried = 0;
  return work.map((entries, index) => {
    let most: { mark: Mark; seconds: number } | undefined;
    for (const entry of entries.values()) {
      carried += entry.seconds;
      if (!most || entry.seconds > most.seconds + slot * 1e-9) most = entry;
    }
    if (most && carried >= half) {
      carried -= slot;
      return most.mark;
    }
    return sending[index]! > 0 && sending[index]! >= half
      ? { character: '~', kind: 'sendActivation' }
      : { character: '·', kind: 'waiting-activation' };
  });
}

/** Work without a number: its character, and what the legend says. */
const plainWork: readonly (readonly [Span['type'], string])[] = [
  ['update', '# update'],
  ['cacheWrite', '> cache write'],
  ['cacheRead', '< cache read'],
  ['load', '+ load'],
];

function characterOf({ type, microbatch = 0 }: DrawnSpan, offset: number): string {
  const digit = (offset + microbatch) % 10;
  if (type === 'forward') return String(digit);
  if (type === 'backwardInput') return String.fromCharCode(97 + digit);
  if (type === 'backwardWeight') return String.fromCharCode(65 + digit);
  const [, legend = '~'] = plainWork.find(([plain]) => plain === type) ?? [];
  return legend.charAt(0);
}

function axis({ makespanSeconds }: Timeline, width: number): string {
  let line = '';
  for (const { seconds, label } of timeTicks(makespanSeconds, Math.max(2, Math.floor(width / 10)))) {
    const at = makespanSeconds > 0 ? Math.round((seconds / makespanSeconds) * width) : 0;
    const text = `|${label}`;
    if (at < line.length + (at > 0 ? 1 : 0) || at + text.length > width) continue;
    line = line.padEnd(at) + text;
  }
  return line.padEnd(width);
}

function useOf({ use }: ChartRow, { makespanSeconds }: Timeline): string {
  const busy = makespanSeconds > 0 ? use.busySeconds / makespanSeconds : 0;
  const [cause, seconds] = Object.entries(use.idleSeconds).reduce((a, b) => (b[1] > a[1] ? b : a)) as [
    IdleCause,
    number,
  ];
  const percents = [busy, use.idleFraction].map((part) => formatPercent(part).padStart(4)).join(' ');
  return ` ${percents} ${seconds > 0 ? cause : '-'}`;
}

function summaryOf(
  { makespanSeconds, bytes, unfinished }: Timeline,
  schedule: Schedule,
  chart: Chart,
): string[] {
  return [
    `${printable(schedule.policy)}:`,
    `${plural(chart.rows.length, 'device')},`,
    `${plural(schedule.steps, 'step')},`,
    `makespan ${formatSeconds(makespanSeconds)},`,
    `idle ${formatPercent(chart.idleFraction)},`,
    `${formatBytes(bytes)} sent`,
    ...(unfinished > 0 ? [`(${plural(unfinished, 'instruction')} unfinished)`] : []),
  ];
}

function legendOf({ rows, tasks }: Chart, { placements }: Schedule, offset: Numbering): string[] {
  const kinds = new Set(rows.flatMap(({ work }) => work.map(({ type }) => type)));
  return [
    '0–9 forward',
    ...(kinds.has('backwardInput') ? ['a–j backward'] : []),
    ...(kinds.has('backwardWeight') ? ['A–J weight gradient'] : []),
    ...plainWork.flatMap(([type, legend]) => (kinds.has(type) ? [legend] : [])),
    '~ only sending',
    '· idle',
    ...(rows.some(({ frozen }) => frozen) ? ['* no backward pass'] : []),
    ...(tasks.length > 1 || placements.some(({ microbatches }) => microbatches > 10)
      ? [
          ...placements.flatMap(({ tasks: names, microbatches }, placement) =>
            names.map((name) => {
              const first = offset(placement, name);
              const last = first + microbatches - 1;
              return `${printable(name)}: ${first === last ? first : `${first}–${last}`}`;
            }),
          ),
          ...(placements.some(({ tasks: names, microbatches }) => names.length * microbatches > 10)
            ? ['(last digit shown)']
            : []),
        ]
      : []),
  ];
}

function paint(marks: readonly Mark[], colour: boolean): string {
  let text = '';
  let code = '';
  for (const { character, kind } of marks) {
    const next = colour ? spanStyles[kind].ansi : '';
    if (next !== code) text += `\u001b[${next || '0'}m`;
    code = next;
    text += character;
  }
  return code ? `${text}\u001b[0m` : text;
}
