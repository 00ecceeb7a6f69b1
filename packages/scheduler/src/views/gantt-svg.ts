/** A timeline as a drawing: a row for each device in pipeline order, with its transfers in a thin lane below its work. */
import { formatBytes, formatJoules, formatPercent, formatSeconds, letterOf, plural } from '../format.js';
import type { Schedule } from '../schedule/schedule.js';
import type { Timeline } from '../simulate/timeline.js';
import { type Chart, chartOf, type ChartRow, type DrawnSpan, type SpanKind } from './chart-rows.js';
import { spanKinds, spanStyles, tintCount, tinted } from './span-style.js';
import { drawSvgChart, type Paint, type SvgRow } from './svg-chart.js';

export interface DrawSvgOptions {
  readonly title?: string;
  readonly widthPixels?: number;
}

/** The timeline as a self-contained SVG, readable in print and without colour. Equal input gives equal bytes. */
export function drawGanttSvg(
  timeline: Timeline,
  schedule: Schedule,
  { title = `${schedule.policy}: who computes what, and when`, widthPixels }: DrawSvgOptions = {},
): string {
  const chart = chartOf(timeline, schedule, 'drawGanttSvg');
  const { rows, tasks } = chart;
  const kinds = new Set(
    rows.flatMap(({ work, transfers }) => [work, ...transfers].flat().map(({ kind }) => kind)),
  );
  const number: Paint = { id: 'gear-number', colours: ['#ffffff'] };
  return drawSvgChart(
    {
      title,
      subtitle: subtitleOf(chart, schedule),
      footer: footerOf(timeline, chart),
      endSeconds: timeline.makespanSeconds,
      rows: rows.map((row, index) => drawnRow(row, rows[index - 1], timeline, schedule)),
      legend: [
        spanKinds
          .filter((kind) => kinds.has(kind))
          .map((kind) => ({ paint: paintOf(kind, 0), label: spanStyles[kind].label })),
        [
          ...(tasks.length > 1
            ? tasks.map((task, index) => ({
                paint: paintOf('forward', index),
                letter: letterOf(index),
                label: task,
              }))
            : []),
          { paint: number, letter: '0', label: 'number of the micro-batch' },
        ],
      ],
      paintOf: ({ kind, task }: DrawnSpan) => paintOf(kind, task === undefined ? 0 : tasks.indexOf(task)),
      labelsOf: ({ type, task, microbatch }) => {
        if (type === 'waiting' || task === undefined) return [];
        const digits = microbatch === undefined ? '' : String(microbatch);
        return [(tasks.length > 1 ? letterOf(tasks.indexOf(task)) : '') + digits, digits];
      },
      tooltipOf,
    },
    'drawGanttSvg',
    widthPixels,
  );
}

function paintOf(kind: SpanKind, task: number): Paint {
  const tint = Math.max(0, task) % tintCount;
  const { colour, hatch } = spanStyles[kind];
  return { id: `gear-${kind}-${tint}`, colours: [tinted(colour, tint)], ...(hatch ? { hatch } : {}) };
}

function drawnRow(
  { device, placement, stage, layers, frozen, use, work, transfers }: ChartRow,
  before: ChartRow | undefined,
  { makespanSeconds, stepEndSeconds }: Timeline,
  { placements }: Schedule,
): SvgRow<DrawnSpan> {
  const ends = stepEndSeconds[placement] ?? [];
  const opens = placements.length > 1 && before?.placement !== placement;
  return {
    name: device,
    note: `stage ${stage} · ${layers}${frozen ? ' · frozen' : ''}`,
    value: formatPercent(makespanSeconds > 0 ? use.busySeconds / makespanSeconds : 0),
    ...(opens ? { heading: `pipeline ${placement}: ${placements[placement]!.tasks.join(', ')}` } : {}),
    bar: frozen ? '#56b4e9' : '#0072b2',
    band: stage % 2 === 0,
    lanes: [
      { spans: work, share: 0.76 },
      ...transfers.map((spans) => ({ spans, share: 0.24 / transfers.length })),
    ],
    // None of a single step, and none where they would hide everything else.
    marks: ends.length > 1 && ends.length <= 24 ? ends.filter((seconds) => seconds > 0) : [],
  };
}

function subtitleOf({ rows, tasks }: Chart, { policy, placements, steps }: Schedule): string {
  const stages = placements.reduce((sum, placement) => sum + placement.stages.length, 0);
  const microbatches = [...new Set(placements.map((placement) => placement.microbatches))].join('/');
  return (
    `${policy} on ${plural(rows.length, 'device')} in ${plural(stages, 'stage')}: ` +
    `${plural(tasks.length, 'task')}, ${plural(steps, 'step')} of ${microbatches} micro-batches` +
    (steps > 1 ? '; dashed lines end steps' : '')
  );
}

function footerOf({ makespanSeconds, bytes, unfinished, joules }: Timeline, chart: Chart): string {
  const causes = new Map<string, number>();
  for (const { use } of chart.rows)
    for (const [cause, seconds] of Object.entries(use.idleSeconds))
      causes.set(cause, (causes.get(cause) ?? 0) + seconds / chart.rows.length / (makespanSeconds || 1));
  const split = [...causes]
    .filter(([, share]) => share >= 0.005)
    .sort((a, b) => b[1] - a[1])
    .map(([cause, share]) => `${cause} ${formatPercent(share)}`);
  return [
    `makespan ${formatSeconds(makespanSeconds)}`,
    `idle ${formatPercent(chart.idleFraction)}${split.length > 0 ? ` (${split.join(', ')})` : ''}`,
    `${formatBytes(bytes)} sent`,
    ...(joules === undefined ? [] : [formatJoules(joules)]),
    ...(unfinished > 0 ? [`${plural(unfinished, 'instruction')} unfinished`] : []),
  ].join(' · ');
}

function tooltipOf(span: DrawnSpan, count: number): string {
  const { kind, task, step, microbatch, startSeconds, endSeconds, peer, bytes } = span;
  return [
    spanStyles[kind].label,
    ...(peer === undefined ? [] : [`to ${peer}`]),
    ...(task === undefined ? [] : [task]),
    ...(step === undefined ? [] : [`step ${step}`]),
    ...(microbatch === undefined ? [] : [`micro-batch ${microbatch}`]),
    `${formatSeconds(startSeconds)} to ${formatSeconds(endSeconds)}`,
    ...(bytes === undefined ? [] : [formatBytes(bytes)]),
    ...(count > 1 ? [`and ${count - 1} more`] : []),
  ].join(' · ');
}
