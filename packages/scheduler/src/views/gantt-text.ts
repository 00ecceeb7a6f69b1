/** A timeline for the terminal: a line per device in pipeline order. */
import { formatBytes, formatPercent, formatSeconds, plural } from '../format.js';
import type { Schedule } from '../schedule/schedule.js';
import type { Span, Timeline } from '../simulate/timeline.js';
import { printable } from './cells.js';
import { type Chart, chartOf, type ChartRow, type DrawnSpan } from './chart-rows.js';
import { spanStyles } from './span-style.js';
import { drawTextChart, type DrawTextOptions, type MarkedSpan } from './text-chart.js';

/** The timeline as lines of text, none wider than `columns`. */
export function drawGanttText(timeline: Timeline, schedule: Schedule, options: DrawTextOptions = {}): string {
  const chart = chartOf(timeline, schedule, 'drawGanttText');
  const { makespanSeconds } = timeline;
  const offset = numberingOf(schedule);
  const several = schedule.placements.length > 1;
  const marked = (span: DrawnSpan, characters: string): MarkedSpan => ({
    ...span,
    mark: { characters, ansi: spanStyles[span.kind].ansi },
  });
  return drawTextChart(
    {
      summary: summaryOf(timeline, schedule, chart),
      head: { prefix: 'stage ', name: 'device', suffix: 'busy idle cause       ' },
      rows: chart.rows.map((row) => {
        const { device, placement, stage, frozen, work, transfers } = row;
        return {
          prefix: `${several ? `${placement}.` : ''}${stage}${frozen ? '*' : ' '}`,
          name: device,
          suffix: useOf(row, makespanSeconds),
          spans: work
            .filter(({ type }) => type !== 'waiting')
            .map((span) => marked(span, characterOf(span, offset(placement, span.task ?? '')))),
          below: transfers.flat().map((span) => marked(span, '~')),
        };
      }),
      legend: legendOf(chart, schedule, offset),
      endSeconds: makespanSeconds,
    },
    'drawGanttText',
    options,
  );
}

/** Micro-batches are numbered across all tasks of a pipeline, so that those of siblings differ. */
const numberingOf =
  ({ placements }: Schedule) =>
  (placement: number, task: string): number => {
    const { tasks, microbatches } = placements[placement]!;
    return Math.max(0, tasks.indexOf(task)) * microbatches;
  };

type Numbering = ReturnType<typeof numberingOf>;

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

function useOf({ use }: ChartRow, makespanSeconds: number): string {
  const busy = makespanSeconds > 0 ? use.busySeconds / makespanSeconds : 0;
  const [cause, seconds] = Object.entries(use.idleSeconds).reduce((a, b) => (b[1] > a[1] ? b : a));
  const percents = [busy, use.idleFraction].map((part) => formatPercent(part).padStart(4)).join(' ');
  return `${percents} ${seconds > 0 ? cause : '-'}`;
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
