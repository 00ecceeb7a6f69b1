/** What surrounds the spans of a drawing: its layout, the names, the axis and the ends of the steps. */
import type { Schedule } from '../schedule/schedule.js';
import type { Timeline } from '../simulate/timeline.js';
import type { Chart, ChartRow } from './chart-rows.js';
import { formatLayers, formatPercent, timeTicks } from '../format.js';
import { cutText, escapeXml, rect, round2, text, textWidth } from './svg-elements.js';

/** Sizes in pixels, in two sets: with few rows, a device's name has room for a second line. */
interface Sizes {
  readonly work: number;
  readonly transfer: number;
  readonly gap: number;
  readonly text: number;
}

const roomy: Sizes = { work: 26, transfer: 8, gap: 8, text: 11 };
const compact: Sizes = { work: 14, transfer: 5, gap: 4, text: 9 };
export const margin = 16;
const busyWidth = 48;

interface Layout {
  readonly sizes: Sizes;
  readonly width: number;
  /** Where time 0 is, and how wide the makespan is. */
  readonly left: number;
  readonly span: number;
  readonly pixelsPerSecond: number;
  /** Top of the first row, of each row, and bottom of the last. */
  readonly top: number;
  readonly tops: readonly number[];
  readonly bottom: number;
}

export interface Drawing {
  readonly timeline: Timeline;
  readonly schedule: Schedule;
  readonly chart: Chart;
  readonly layout: Layout;
}

/** Where everything goes in a drawing of the given width. */
export function layOut(
  { makespanSeconds }: Timeline,
  { placements }: Schedule,
  { rows }: Chart,
  width: number,
): Layout {
  const sizes = rows.length > 16 ? compact : roomy;
  const names = rows.map((row) =>
    sizes === roomy
      ? Math.max(textWidth(row.device, 12) * 1.08, textWidth(stageLabel(row), 10))
      : textWidth(`${row.device}  ${stageLabel(row)}`, 10) * 1.04,
  );
  const widest = Math.max(60, ...names) + margin + 16;
  const left = Math.round(Math.min(widest, width * 0.3));
  const span = width - left - busyWidth - margin;
  const top = rows.length > 16 ? 78 : 64;
  const tops: number[] = [];
  let y = top;
  for (const [index, row] of rows.entries()) {
    const before = rows[index - 1];
    if (placements.length > 1 && before?.placement !== row.placement) y += 20;
    else if (before && before.stage !== row.stage) y += sizes === roomy ? 6 : 3;
    tops.push(y);
    y += sizes.work + sizes.transfer + sizes.gap;
  }
  return {
    sizes,
    width,
    left,
    span,
    pixelsPerSecond: makespanSeconds > 0 ? span / makespanSeconds : 0,
    top,
    tops,
    bottom: y,
  };
}

const stageLabel = ({ stage, start, end, frozen }: ChartRow): string =>
  `stage ${stage} · ${formatLayers(start, end)}${frozen ? ' · frozen' : ''}`;

/** The names on the left, a band behind every other stage, a bar along its devices, and the busy share on the right. */
export function drawGroups({ chart: { rows }, layout, schedule, timeline }: Drawing): string {
  const { sizes, tops, left, width } = layout;
  const height = sizes.work + sizes.transfer;
  const parts: string[] = [];
  for (const [index, row] of rows.entries()) {
    const y = tops[index]!;
    const before = rows[index - 1];
    const opens = before?.placement !== row.placement || before.stage !== row.stage;
    if (opens) {
      const last = rows.findLastIndex(
        ({ placement, stage }) => placement === row.placement && stage === row.stage,
      );
      const reach = tops[last]! + height - y;
      if (row.stage % 2 === 0)
        parts.push(
          rect(margin - 8, y - sizes.gap / 2, width - 2 * margin + 16, reach + sizes.gap, '#f5f7fa'),
        );
      parts.push(rect(margin - 2, y, 4, reach, row.frozen ? '#56b4e9' : '#0072b2'));
    }
    if (schedule.placements.length > 1 && before?.placement !== row.placement) {
      const { tasks } = schedule.placements[row.placement]!;
      const label = `pipeline ${row.placement}: ${tasks.join(', ')}`;
      parts.push(text(margin - 2, y - 8, cutText(label, 11, width - 2 * margin), 'font-weight="bold"'));
    }
    const room = left - margin - 16;
    const name = margin + 8;
    if (sizes === roomy) {
      const device = cutText(row.device, 13, room);
      parts.push(text(name, y + 12, device, 'font-size="12" font-weight="bold"'));
      parts.push(text(name, y + 26, cutText(stageLabel(row), 10, room), 'font-size="10" fill="#555555"'));
    } else {
      const label = cutText(`${row.device}  ${stageLabel(row)}`, 10.4, room);
      const bold = label.slice(0, row.device.length);
      const rest = label.slice(row.device.length);
      parts.push(
        `<text x="${name}" y="${round2(y + 11)}" font-size="10"><tspan font-weight="bold">${escapeXml(bold)}</tspan><tspan fill="#555555" xml:space="preserve">${escapeXml(rest)}</tspan></text>`,
      );
    }
    const busy = timeline.makespanSeconds > 0 ? row.use.busySeconds / timeline.makespanSeconds : 0;
    parts.push(text(width - margin, y + sizes.work * 0.7, formatPercent(busy), 'text-anchor="end"'));
  }
  parts.push(text(width - margin, layout.top - 10, 'busy', 'text-anchor="end" fill="#555555"'));
  return parts.join('\n');
}

/** Ticks with grid lines; where there are many rows, the labels are repeated at the top. */
export function drawAxis(
  { timeline: { makespanSeconds }, chart, layout }: Drawing,
  top: number,
  bottom: number,
): string {
  const { left, span, pixelsPerSecond, width } = layout;
  const ticks = timeTicks(makespanSeconds, Math.max(2, Math.floor(span / 80)));
  const labels = (y: number) =>
    ticks
      .map(({ seconds, label }) => {
        const x = left + seconds * pixelsPerSecond;
        // The last label would run into the column of busy shares, or beyond the edge.
        const anchor = x + textWidth(label, 10) / 2 > width - margin ? 'end' : 'middle';
        return text(x, y, label, `text-anchor="${anchor}" font-size="10" fill="#555555"`);
      })
      .join('');
  const lines = ticks
    .map(({ seconds }) => `M${round2(left + seconds * pixelsPerSecond)} ${top - 4}V${round2(bottom - 14)}`)
    .join('');
  return [
    `<path d="${lines}" stroke="#d9d9d9" stroke-width="1" fill="none"/>`,
    ...(chart.rows.length > 16 ? [labels(top - 10)] : []),
    labels(bottom - 3),
  ].join('\n');
}

/** The steps whose ends a drawing shows, per placement: none of a single step, and none where they would hide everything else. */
export const stepEndsOf = ({ stepEndSeconds }: Timeline): readonly (readonly number[])[] =>
  stepEndSeconds.map((ends) =>
    ends.length > 1 && ends.length <= 24 ? ends.filter((seconds) => seconds > 0) : [],
  );

export function drawStepEnds({ timeline, chart: { rows }, layout }: Drawing): string {
  const { left, pixelsPerSecond, tops, sizes } = layout;
  const lines = stepEndsOf(timeline).flatMap((ends, placement) => {
    const first = rows.findIndex((row) => row.placement === placement);
    const last = rows.findLastIndex((row) => row.placement === placement);
    if (first < 0) return [];
    const bottom = round2(tops[last]! + sizes.work + sizes.transfer);
    return ends.map(
      (seconds) => `M${round2(left + seconds * pixelsPerSecond)} ${round2(tops[first]! - 3)}V${bottom}`,
    );
  });
  if (lines.length === 0) return '';
  return `<path d="${lines.join('')}" stroke="#333333" stroke-width="1" stroke-dasharray="4 3" fill="none"/>`;
}
