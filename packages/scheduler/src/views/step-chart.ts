/** The inside of a step as a chart: a row for each device in pipeline order, with its transfers below its work. */
import { formatBytes, formatPercent, formatSeconds, letterOf, plural } from '../format.js';
import type { Schedule } from '../schedule/schedule.js';
import type { Timeline } from '../simulate/timeline.js';
import type { Chart, ChartRow, ChartSpan, Look } from './chart.js';
import { type DrawnSpan, type SpanKind, type StepRow, stepRowsOf } from './step-rows.js';
import { spanKinds, spanStyles, tintCount, tinted } from './span-style.js';

/** @throws SchedulerError when the timeline belongs to another schedule or has no spans. */
export function stepChart(timeline: Timeline, schedule: Schedule): Chart {
  const rows = stepRowsOf(timeline, schedule, 'stepChart');
  const { placements, policy, steps } = schedule;
  const tasks = [...new Set(placements.flatMap((placement) => placement.tasks))];
  const { makespanSeconds, bytes, unfinished } = timeline;
  const looks: Record<string, Look> = { number: { colours: ['#ffffff'] } };
  const lookOf = (kind: SpanKind, task: number): string => {
    const tint = Math.max(0, task) % tintCount;
    const { colour, hatch } = spanStyles[kind];
    looks[`${kind}-${tint}`] ??= { colours: [tinted(colour, tint)], hatch };
    return `${kind}-${tint}`;
  };
  const drawn = rows.map((row) =>
    chartRow(row, timeline, schedule, (span) =>
      chartSpan(
        span,
        tasks,
        lookOf(span.kind, tasks.indexOf(span.task ?? '')),
        offsetOf(schedule, row, span),
      ),
    ),
  );
  const shown = new Set(
    rows.flatMap(({ work, transfers }) => [work, ...transfers].flat().map(({ kind }) => kind)),
  );
  const kinds = spanKinds.filter((kind) => shown.has(kind));
  const idleFraction = rows.reduce((sum, { use }) => sum + use.idleFraction, 0) / Math.max(1, rows.length);
  return {
    title: `${policy}: ${plural(steps, 'step')} of ${tasks.join(' + ')}, from the inside`,
    summary: [
      `${policy}: ${plural(rows.length, 'device')}`,
      plural(steps, 'step'),
      `makespan ${formatSeconds(makespanSeconds)}`,
      `idle ${formatPercent(idleFraction)}`,
      `${formatBytes(bytes)} sent`,
      ...(unfinished > 0 ? [`${plural(unfinished, 'instruction')} unfinished`] : []),
    ],
    endSeconds: makespanSeconds,
    heads: { short: 'stage ', values: ['busy', 'idle', 'cause       '] },
    rows: drawn,
    legend: [
      kinds.map((kind) => ({ look: lookOf(kind, 0), label: spanStyles[kind].label })),
      [
        ...(tasks.length > 1 ? tasks : []).map((task, index) => ({
          look: lookOf('forward', index),
          letter: letterOf(index),
          label: task,
        })),
        {
          look: 'number',
          letter: '0',
          label: `number of the micro-batch${steps > 1 ? '; dashed lines end a step' : ''}`,
        },
      ],
    ],
    looks,
    marks: [
      ...new Set(kinds.flatMap((kind) => spanStyles[kind].mark || [])),
      ...(rows.some(({ frozen }) => frozen) ? ['* no backward pass'] : []),
      ...numbering(schedule, tasks.length),
    ],
  };
}

function chartRow(
  { device, placement, stage, layers, frozen, use, work, transfers }: StepRow,
  { makespanSeconds, stepEndSeconds }: Timeline,
  { placements }: Schedule,
  spanOf: (span: DrawnSpan) => ChartSpan,
): ChartRow {
  const ends = stepEndSeconds[placement] ?? [];
  const several = placements.length > 1;
  const [cause, seconds] = Object.entries(use.idleSeconds).reduce((a, b) => (b[1] > a[1] ? b : a));
  return {
    name: device,
    short: `${several ? `${placement}.` : ''}${stage}${frozen ? '*' : ' '}`,
    note: `${several ? `pipeline ${placement}, ` : ''}stage ${stage} · ${layers}${frozen ? ' · frozen' : ''}`,
    values: [
      formatPercent(makespanSeconds > 0 ? use.busySeconds / makespanSeconds : 0),
      formatPercent(use.idleFraction),
      (seconds > 0 ? cause : '-').padEnd(12),
    ],
    bar: frozen ? '#56b4e9' : '#0072b2',
    band: stage % 2 === 0,
    lanes: [
      { spans: work.map(spanOf), share: 0.76 },
      ...transfers.map((lane) => ({ spans: lane.map(spanOf), share: 0.24 / transfers.length })),
    ],
    // None of a single step, and none where they would hide everything else.
    dashes: ends.length > 1 && ends.length <= 24 ? ends.filter((end) => end > 0) : [],
  };
}

function chartSpan(span: DrawnSpan, tasks: readonly string[], look: string, number: number): ChartSpan {
  const { kind, type, task, step, microbatch, startSeconds, endSeconds, peer, bytes } = span;
  const { label, mark } = spanStyles[kind];
  const digits = microbatch === undefined ? '' : String(microbatch);
  const letter = tasks.length > 1 ? letterOf(tasks.indexOf(task ?? '')) : '';
  return {
    startSeconds,
    endSeconds,
    look,
    labels: type === 'waiting' || task === undefined ? [] : [letter + digits, digits],
    // A range of marks has one for each last digit.
    mark: mark.includes('–') ? String.fromCharCode(mark.charCodeAt(0) + (number % 10)) : mark.charAt(0),
    text: [
      label,
      ...(peer === undefined ? [] : [`to ${peer}`]),
      ...(task === undefined ? [] : [task]),
      ...(step === undefined ? [] : [`step ${step}`]),
      ...(microbatch === undefined ? [] : [`micro-batch ${microbatch}`]),
      ...(bytes === undefined ? [] : [formatBytes(bytes)]),
    ].join(' · '),
  };
}

/** On the terminal, micro-batches are numbered across all tasks of a pipeline, so that those of siblings differ. */
function offsetOf(
  { placements }: Schedule,
  { placement }: StepRow,
  { task = '', microbatch = 0 }: DrawnSpan,
) {
  const { tasks, microbatches } = placements[placement]!;
  return Math.max(0, tasks.indexOf(task)) * microbatches + microbatch;
}

function numbering({ placements }: Schedule, taskCount: number): string[] {
  const most = Math.max(...placements.map(({ tasks, microbatches }) => tasks.length * microbatches));
  if (taskCount < 2 && most <= 10) return [];
  const ranges = placements.flatMap(({ tasks, microbatches }) =>
    tasks.map((name, index) => {
      const first = index * microbatches;
      return `${name}: ${first}${microbatches > 1 ? `–${first + microbatches - 1}` : ''}`;
    }),
  );
  return [...ranges, ...(most > 10 ? ['(last digit shown)'] : [])];
}
