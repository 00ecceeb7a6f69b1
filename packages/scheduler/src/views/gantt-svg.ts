/** A chart as a self-contained SVG: rows with lanes of boxes, an axis of time, and a legend; readable in print and without colour. */
import { formatSeconds, timeTicks } from '../format.js';
import { SchedulerError } from '../scheduler-error.js';
import { type Box, boxesWithin } from './chart-boxes.js';
import type { Chart, ChartRow } from './chart.js';
import { cutText, escapeXml, rect, round2, text, textWidth } from './svg-elements.js';

export interface DrawGanttSvgOptions {
  readonly widthPixels?: number;
}

/** Beyond `boxLimit` boxes are merged further, and beyond `tooltipLimit` they have no tooltips, so that files stay below a few megabytes. */
const boxLimit = 80_000;
const tooltipLimit = 3_000;
/** Sizes in pixels. */
const margin = 16;
const valueWidth = 48;
const top = 78;
const rowHeight = 34;
const gap = 8;
const grey = 'fill="#555555"';
/** Text that can be read on any box. */
const onBoxes = 'text-anchor="middle" stroke="#ffffff" stroke-width="2.5" paint-order="stroke"';

/** Equal input gives equal bytes. */
export function drawGanttSvg(chart: Chart, { widthPixels = 1200 }: DrawGanttSvgOptions = {}): string {
  if (!(widthPixels >= 400))
    throw new SchedulerError(
      'SCHEDULER_VIEW_INVALID',
      'drawGanttSvg',
      `a width of ${widthPixels} pixels is too small, give at least 400`,
    );
  const width = Math.round(widthPixels);
  const { title, summary, endSeconds, rows, heads } = chart;
  const widest = rows.reduce(
    (most, { name, note }) => Math.max(most, textWidth(name, 13), textWidth(note, 11)),
    60,
  );
  const left = Math.round(Math.min(widest + margin + 16, width * 0.3));
  const span = width - left - valueWidth - margin;
  const pixelsPerSecond = endSeconds > 0 ? span / endSeconds : 0;
  const topOf = (index: number) => top + index * (rowHeight + gap);
  const bottom = topOf(rows.length);
  const lanes = rows.flatMap((row) => row.lanes.map(({ spans }) => spans));
  const boxes = boxesWithin(lanes, pixelsPerSecond, boxLimit);
  const tooltips = boxes.reduce((sum, { length }) => sum + length, 0) <= tooltipLimit;
  const legend = drawLegend(chart, bottom + 38, width);
  const height = round2(legend.bottom + 8);
  const subtitle = summary.join(' · ');
  let lane = 0;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="sans-serif" font-size="11" fill="#222222">`,
    `<title>${escapeXml(title)}</title>`,
    `<desc>${escapeXml(subtitle)}</desc>`,
    definePatterns(chart),
    rect(0, 0, width, height, '#ffffff'),
    text(margin, 26, cutText(title, 16, width - 2 * margin), 'font-size="16" font-weight="bold"'),
    text(margin, 44, cutText(subtitle, 11, width - 2 * margin), grey),
    text(width - margin, top - 10, heads.values[0] ?? '', `text-anchor="end" ${grey}`),
    ...rows.flatMap((row, index) => drawName(row, topOf(index), left, width)),
    ...drawAxis(endSeconds, left, span, bottom),
    ...rows.flatMap((row, index) => {
      const dashes = row.dashes.map((seconds) => `M${round2(seconds * pixelsPerSecond)} -3V${rowHeight}`);
      let y = 0;
      return [
        `<g transform="translate(${left} ${topOf(index)})">`,
        rect(0, 0, span, rowHeight, '#ffffff'),
        ...row.lanes.flatMap(({ share }) => {
          const from = y;
          y += share * rowHeight;
          return drawLane(boxes[lane++]!, from, y - from, tooltips);
        }),
        ...(dashes.length === 0
          ? []
          : [`<path d="${dashes.join('')}" stroke="#333333" stroke-dasharray="4 3" fill="none"/>`]),
        '</g>',
      ];
    }),
    legend.svg,
    '</svg>',
    '',
  ].join('\n');
}

/** A band behind the row, the bar and the name on the left, the value on the right. */
function drawName(row: ChartRow, y: number, left: number, width: number): string[] {
  const { name, note, values, bar, band } = row;
  const room = left - margin - 16;
  return [
    ...(band ? [rect(margin - 8, y - gap / 2, width - 2 * margin + 16, rowHeight + gap, '#f5f7fa')] : []),
    rect(margin - 2, y, 4, rowHeight, bar),
    text(margin + 8, y + 12, cutText(name, 13, room), 'font-size="12" font-weight="bold"'),
    text(margin + 8, y + 26, cutText(note, 10, room), `font-size="10" ${grey}`),
    text(width - margin, y + 20, values[0] ?? '', 'text-anchor="end"'),
  ];
}

/** Ticks with grid lines, labelled above and below. */
function drawAxis(endSeconds: number, left: number, span: number, bottom: number): string[] {
  const ticks = timeTicks(endSeconds, Math.max(2, Math.floor(span / 80))).map(({ seconds, label }) => ({
    x: left + (endSeconds > 0 ? seconds / endSeconds : 0) * span,
    label,
  }));
  const lines = ticks.map(({ x }) => `M${round2(x)} ${top - 4}V${round2(bottom + 8)}`).join('');
  return [
    `<path d="${lines}" stroke="#d9d9d9" fill="none"/>`,
    ...[top - 10, bottom + 19].flatMap((y) =>
      ticks.map(({ x, label }) => {
        // The last label would run into the column of values, or beyond the edge.
        const anchor = x + textWidth(label, 10) / 2 > left + span ? 'end' : 'middle';
        return text(x, y, label, `text-anchor="${anchor}" font-size="10" ${grey}`);
      }),
    ),
  ];
}

function drawLane(boxes: readonly Box[], y: number, height: number, tooltips: boolean): string[] {
  const parts: string[] = [];
  const texts: string[] = [];
  const outlines = new Map<string, string>();
  for (const { x, width, from, to, span, count } of boxes) {
    // A sliver of background separates neighbours.
    const visible = round2(width - Math.min(0.6, width * 0.1));
    const high = round2((to - from) * (height - 1));
    if (visible <= 0 || high <= 0) continue;
    const [left, boxTop, fill] = [round2(x), round2(y + from * (height - 1)), fillOf(span.look)];
    if (tooltips) {
      const times = `${formatSeconds(span.startSeconds)} to ${formatSeconds(span.endSeconds)}`;
      const tooltip = `${span.text} · ${times}${count > 1 ? ` · and ${count - 1} more` : ''}`;
      parts.push(
        `<rect x="${left}" y="${boxTop}" width="${visible}" height="${high}" fill="${fill}"><title>${escapeXml(tooltip)}</title></rect>`,
      );
    } else
      outlines.set(fill, `${outlines.get(fill) ?? ''}M${left} ${boxTop}h${visible}v${high}h${-visible}z`);
    if (height < 11 || count > 1) continue;
    const label = [11, 8]
      .flatMap((size) => span.labels.map((content) => ({ content, size })))
      .find(({ content, size }) => content !== '' && textWidth(content, size) <= width - 2);
    if (label) {
      const baseline = y + height / 2 + label.size * 0.36;
      texts.push(text(x + width / 2, baseline, label.content, `font-size="${label.size}" ${onBoxes}`));
    }
  }
  for (const [fill, outline] of outlines) parts.push(`<path d="${outline}" fill="${fill}"/>`);
  return [...parts, ...texts];
}

const fillOf = (look: string): string => `url(#gear-${look})`;

function definePatterns({ looks }: Chart): string {
  const patterns = Object.entries(looks)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([look, { colours, hatch }]) => {
      const stripe = 8 / colours.length;
      const base = colours.map((colour, index) => rect(0, index * stripe, 8, stripe, colour)).join('');
      const lines = hatch
        ? `<path d="${hatch.path}" stroke="${hatch.colour}" stroke-width="${hatch.width}" fill="none"/>`
        : '';
      return `<pattern id="gear-${look}" width="8" height="8" patternUnits="userSpaceOnUse">${base}${lines}</pattern>`;
    });
  return `<defs>\n${patterns.join('\n')}\n</defs>`;
}

function drawLegend({ legend }: Chart, y: number, width: number): { svg: string; bottom: number } {
  const parts: string[] = [];
  let bottom = y;
  for (const entries of legend) {
    let x = margin;
    for (const { look, letter = '', label } of entries) {
      const shown = cutText(label, 11, width - 2 * margin - 30);
      const needed = 44 + textWidth(shown, 11);
      if (x > margin && x + needed > width - margin) [x, bottom] = [margin, bottom + 18];
      parts.push(
        rect(x, bottom, 24, 12, fillOf(look), 'stroke="#999999" stroke-width="0.5"'),
        text(x + 30, bottom + 10, shown),
        ...(letter === '' ? [] : [text(x + 12, bottom + 9.5, letter, `font-size="10" ${onBoxes}`)]),
      );
      x += needed;
    }
    if (entries.length > 0) bottom += 18;
  }
  return { svg: parts.join('\n'), bottom };
}
