/** A timeline as a drawing: a row for each device in pipeline order, with its transfers in a thin lane below its work. */
import { SchedulerError } from '../scheduler-error.js';
import type { Schedule } from '../schedule/schedule.js';
import type { Timeline } from '../simulate/timeline.js';
import { type Box, boxesWithin } from './chart-boxes.js';
import { type Chart, chartOf, type DrawnSpan } from './chart-rows.js';
import { formatBytes, formatPercent, formatSeconds, letterOf, plural } from '../format.js';
import { drawAxis, drawGroups, type Drawing, drawStepEnds, layOut, margin } from './gantt-frame.js';
import { coloursOf, drawLegend, drawPatterns, fillOf } from './gantt-legend.js';
import { spanStyles } from './span-style.js';
import { cutText, escapeXml, rect, round2, text, textWidth } from './svg-elements.js';

export interface DrawGanttSvgOptions {
  readonly title?: string;
  readonly widthPixels?: number;
}

/** Beyond `boxLimit` boxes are merged further, and beyond `tooltipLimit` they have no tooltips, so that files stay below a few megabytes. */
const boxLimit = 80_000;
const tooltipLimit = 3_000;

/** The timeline as a self-contained SVG, readable in print and without colour. Equal input gives equal bytes. */
export function drawGanttSvg(
  timeline: Timeline,
  schedule: Schedule,
  { title = `${schedule.policy}: who computes what, and when`, widthPixels = 1200 }: DrawGanttSvgOptions = {},
): string {
  if (!(widthPixels >= 400))
    throw new SchedulerError(
      'SCHEDULER_VIEW_INVALID',
      'drawGanttSvg',
      `a width of ${widthPixels} pixels is too small, give at least 400`,
    );
  const chart = chartOf(timeline, schedule, 'drawGanttSvg');
  const layout = layOut(timeline, schedule, chart, Math.round(widthPixels));
  const drawing: Drawing = { timeline, schedule, chart, layout };
  const { width, top, bottom } = layout;
  const lanes = chart.rows.flatMap(({ work, transfers }) => [work, ...transfers]);
  const boxes = boxesWithin(lanes, layout.pixelsPerSecond, boxLimit);
  const axisBottom = bottom + 22;
  const legend = drawLegend(drawing, axisBottom + 16);
  const footer = footerOf(drawing);
  const height = legend.bottom + 30;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${round2(height)}" width="${width}" height="${round2(height)}" role="img" font-family="sans-serif" font-size="11" fill="#222222">`,
    `<title>${escapeXml(title)}</title>`,
    `<desc>${escapeXml(`${subtitleOf(drawing)}. ${footer}.`)}</desc>`,
    drawPatterns(boxes.flat(), drawing),
    `<rect width="${width}" height="${round2(height)}" fill="#ffffff"/>`,
    text(margin, 26, cutText(title, 16, width - 2 * margin), 'font-size="16" font-weight="bold"'),
    text(margin, 44, cutText(subtitleOf(drawing), 11, width - 2 * margin), 'fill="#555555"'),
    drawGroups(drawing),
    drawAxis(drawing, top, axisBottom),
    ...drawRows(drawing, boxes),
    drawStepEnds(drawing),
    legend.svg,
    text(
      margin,
      legend.bottom + 14,
      cutText(footer, 11, width - 2 * margin),
      'font-weight="bold" fill="#222222"',
    ),
    '</svg>',
    '',
  ].join('\n');
}

function* drawRows(drawing: Drawing, boxes: readonly (readonly Box[])[]): Generator<string> {
  const { chart, layout } = drawing;
  const { sizes, tops, left, span } = layout;
  const tooltips = boxes.reduce((sum, { length }) => sum + length, 0) <= tooltipLimit;
  let lane = 0;
  for (const [index, { transfers }] of chart.rows.entries()) {
    const y = tops[index]!;
    yield `<g transform="translate(${left} ${round2(y)})">`;
    yield rect(0, 0, span, sizes.work, '#ffffff');
    yield drawLane(boxes[lane++]!, 0, sizes.work, drawing, { tooltips, labels: true });
    const each = (sizes.transfer - 1) / Math.max(1, transfers.length);
    for (let at = 0; at < transfers.length; at++)
      yield drawLane(boxes[lane++]!, sizes.work + 1 + at * each, each, drawing, { tooltips, labels: false });
    yield '</g>';
  }
}

function drawLane(
  boxes: readonly Box[],
  y: number,
  height: number,
  { chart, layout: { sizes } }: Drawing,
  { tooltips, labels }: { readonly tooltips: boolean; readonly labels: boolean },
): string {
  const parts: string[] = [];
  const texts: string[] = [];
  const outlines = new Map<string, string>();
  for (const { x, width, from, to, span, count } of boxes) {
    // A sliver of background separates neighbours.
    const visible = round2(width - Math.min(0.6, width * 0.1));
    const high = round2((to - from) * height);
    if (visible <= 0 || high <= 0) continue;
    const [left, top, fill] = [round2(x), round2(y + from * height), fillOf(span, chart)];
    if (tooltips)
      parts.push(
        `<rect x="${left}" y="${top}" width="${visible}" height="${high}" fill="${fill}"><title>${escapeXml(tooltipOf(span, count))}</title></rect>`,
      );
    else outlines.set(fill, `${outlines.get(fill) ?? ''}M${left} ${top}h${visible}v${high}h${-visible}z`);
    const label = labels && to - from === 1 ? labelOf(span, chart, sizes.text, width - 2) : undefined;
    if (!label) continue;
    const { colour, ink } = coloursOf(span, chart);
    texts.push(
      text(
        x + width / 2,
        y + height / 2 + label.size * 0.36,
        label.content,
        `text-anchor="middle" font-size="${label.size}" fill="${ink}" stroke="${colour}" stroke-width="2.5" stroke-linejoin="round" paint-order="stroke"`,
      ),
    );
  }
  for (const [fill, outline] of outlines) parts.push(`<path d="${outline}" fill="${fill}"/>`);
  return [...parts, ...texts].join('\n');
}

interface Label {
  readonly content: string;
  readonly size: number;
}

/** The first label that fits: letter and number, the same smaller, or the number alone. */
function labelOf(
  { type, task, microbatch }: DrawnSpan,
  { tasks }: Chart,
  size: number,
  pixels: number,
): Label | undefined {
  if (type === 'waiting' || task === undefined) return undefined;
  const number = microbatch === undefined ? '' : String(microbatch);
  const whole = (tasks.length > 1 ? letterOf(tasks.indexOf(task)) : '') + number;
  const small = Math.min(size, 8);
  return [
    { content: whole, size },
    { content: whole, size: small },
    { content: number, size: small },
  ].find((label) => label.content !== '' && textWidth(label.content, label.size) <= pixels);
}

const subtitleOf = ({ chart: { rows, tasks }, schedule: { policy, placements, steps } }: Drawing): string => {
  const stages = placements.reduce((sum, placement) => sum + placement.stages.length, 0);
  const microbatches = [...new Set(placements.map((placement) => placement.microbatches))].join('/');
  return `${policy} on ${plural(rows.length, 'device')} in ${plural(stages, 'stage')}: ${plural(tasks.length, 'task')}, ${plural(steps, 'step')} of ${microbatches} micro-batches`;
};

function footerOf({ timeline: { makespanSeconds, bytes, unfinished, joules }, chart }: Drawing): string {
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
    ...(joules === undefined ? [] : [`${Number(joules.toPrecision(3))} J`]),
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
