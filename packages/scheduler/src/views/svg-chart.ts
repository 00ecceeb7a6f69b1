/** A chart of spans as a self-contained SVG: rows with lanes of boxes, an axis of time, and a legend; readable in print and without colour. */
import { timeTicks } from '../format.js';
import { SchedulerError } from '../scheduler-error.js';
import { type Box, boxesWithin, type TimedSpan } from './chart-boxes.js';
import type { Hatch } from './span-style.js';
import { cutText, escapeXml, rect, round2, text, textWidth } from './svg-elements.js';

/** Equal ids mean equal paints, so that several drawings can share a page. */
export interface Paint {
  readonly id: string;
  /** Several make stripes. */
  readonly colours: readonly string[];
  readonly hatch?: Hatch;
}

export interface SvgRow<S> {
  readonly name: string;
  /** Below or beside the name. */
  readonly note: string;
  /** On the right. */
  readonly value: string;
  /** Above the row. */
  readonly heading?: string;
  /** Colour of the bar on the left. */
  readonly bar: string;
  readonly band: boolean;
  /** From top to bottom, each with its share of the height. */
  readonly lanes: readonly { readonly spans: readonly S[]; readonly share: number }[];
  /** Times of dashed lines. */
  readonly marks: readonly number[];
}

export interface SvgChart<S> {
  readonly title: string;
  readonly subtitle: string;
  readonly footer: string;
  readonly endSeconds: number;
  readonly rows: readonly SvgRow<S>[];
  /** Lines of entries; a letter stands on its swatch. */
  readonly legend: readonly (readonly { paint: Paint; letter?: string; label: string }[])[];
  readonly paintOf: (span: S) => Paint;
  /** The longest that fits is shown. */
  readonly labelsOf: (span: S) => readonly string[];
  /** `count`: how many spans the box stands for. */
  readonly tooltipOf: (span: S, count: number) => string;
}

/** Beyond `boxLimit` boxes are merged further, and beyond `tooltipLimit` they have no tooltips, so that files stay below a few megabytes. */
const boxLimit = 80_000;
const tooltipLimit = 3_000;
const margin = 16;
const valueWidth = 48;
const grey = 'fill="#555555"';

export function drawSvgChart<S extends TimedSpan>(
  chart: SvgChart<S>,
  caller: string,
  widthPixels = 1200,
): string {
  if (!(widthPixels >= 400))
    throw new SchedulerError(
      'SCHEDULER_VIEW_INVALID',
      caller,
      `a width of ${widthPixels} pixels is too small, give at least 400`,
    );
  const width = Math.round(widthPixels);
  const { title, subtitle, footer, endSeconds, rows, legend, paintOf } = chart;
  // With few rows there is room for a note below the name.
  const compact = rows.length > 16;
  const [height, gap] = compact ? [20, 4] : [34, 8];
  const names = rows.map(({ name, note }) =>
    compact ? textWidth(`${name}  ${note}`, 10.4) : Math.max(textWidth(name, 13), textWidth(note, 10)),
  );
  const left = Math.round(Math.min(Math.max(60, ...names) + margin + 16, width * 0.3));
  const span = width - left - valueWidth - margin;
  const pixelsPerSecond = endSeconds > 0 ? span / endSeconds : 0;
  const top = 78;
  let bottom = top;
  const tops = rows.map(({ heading }) => {
    const y = bottom + (heading === undefined ? 0 : 20);
    bottom = y + height + gap;
    return y;
  });
  const lanes = rows.flatMap((row) => row.lanes.map(({ spans }) => spans));
  const boxes = boxesWithin(lanes, (one) => paintOf(one).id, pixelsPerSecond, boxLimit);
  const tooltips = boxes.reduce((sum, { length }) => sum + length, 0) <= tooltipLimit;
  const entries = drawLegend(legend, bottom + 38, width);
  const whole = round2(entries.bottom + 30);
  const line = (y: number, content: string, size: number, attributes: string) =>
    text(
      margin,
      y,
      cutText(content, size, width - 2 * margin),
      `font-size="${size}"${attributes && ` ${attributes}`}`,
    );
  let lane = 0;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${whole}" width="${width}" height="${whole}" role="img" font-family="sans-serif" font-size="11" fill="#222222">`,
    `<title>${escapeXml(title)}</title>`,
    `<desc>${escapeXml(`${subtitle}. ${footer}.`)}</desc>`,
    definePaints([
      ...boxes.flat().map((box) => paintOf(box.span)),
      ...legend.flat().map(({ paint }) => paint),
    ]),
    rect(0, 0, width, whole, '#ffffff'),
    line(26, title, 16, 'font-weight="bold"'),
    line(44, subtitle, 11, grey),
    text(width - margin, top - 10, 'busy', `text-anchor="end" ${grey}`),
    ...rows.flatMap((row, index) => drawName(row, { y: tops[index]!, left, width, height, gap, compact })),
    drawAxis(endSeconds, { left, span, width, top, bottom: bottom + 22, compact }),
    ...rows.map((row, index) => {
      let y = 0;
      const drawn = row.lanes.map(({ share }) => {
        const part = drawLane(boxes[lane++]!, { y, height: share * height }, chart, tooltips);
        y += share * height;
        return part;
      });
      const marks = row.marks.map((seconds) => `M${round2(seconds * pixelsPerSecond)} -3V${height}`).join('');
      return [
        `<g transform="translate(${left} ${round2(tops[index]!)})">`,
        rect(0, 0, span, (row.lanes[0]?.share ?? 1) * height, '#ffffff'),
        ...drawn,
        ...(marks === '' ? [] : [`<path d="${marks}" stroke="#333333" stroke-dasharray="4 3" fill="none"/>`]),
        '</g>',
      ].join('\n');
    }),
    entries.svg,
    line(entries.bottom + 14, footer, 11, 'font-weight="bold"'),
    '</svg>',
    '',
  ].join('\n');
}

/** A band behind the row, the bar and the name on the left, the value on the right. */
function drawName(
  { name, note, value, heading, bar, band }: SvgRow<unknown>,
  at: Readonly<Record<'y' | 'left' | 'width' | 'height' | 'gap', number>> & { readonly compact: boolean },
): string[] {
  const { y, left, width, height, gap } = at;
  const room = left - margin - 16;
  const named = (lower: number, content: string, size: number, attributes: string) =>
    text(
      margin + 8,
      y + lower,
      cutText(content, size * 1.04, room),
      `font-size="${size}"${attributes && ` ${attributes}`}`,
    );
  return [
    ...(band ? [rect(margin - 8, y - gap / 2, width - 2 * margin + 16, height + gap, '#f5f7fa')] : []),
    rect(margin - 2, y, 4, height, bar),
    ...(heading === undefined
      ? []
      : [text(margin - 2, y - 8, cutText(heading, 11, width - 2 * margin), 'font-weight="bold"')]),
    ...(at.compact
      ? [named(13, `${name}  ${note}`, 10, '')]
      : [named(12, name, 12, 'font-weight="bold"'), named(26, note, 10, grey)]),
    text(width - margin, y + height * 0.6, value, 'text-anchor="end"'),
  ];
}

/** Ticks with grid lines; where there are many rows, the labels are repeated at the top. */
function drawAxis(
  endSeconds: number,
  at: Readonly<Record<'left' | 'span' | 'width' | 'top' | 'bottom', number>> & { readonly compact: boolean },
): string {
  const { left, span, width, top, bottom } = at;
  const ticks = timeTicks(endSeconds, Math.max(2, Math.floor(span / 80))).map(({ seconds, label }) => ({
    x: left + (endSeconds > 0 ? seconds / endSeconds : 0) * span,
    label,
  }));
  const labels = (y: number) =>
    ticks.map(({ x, label }) => {
      // The last label would run into the column of busy shares, or beyond the edge.
      const anchor = x + textWidth(label, 10) / 2 > width - margin ? 'end' : 'middle';
      return text(x, y, label, `text-anchor="${anchor}" font-size="10" ${grey}`);
    });
  const lines = ticks.map(({ x }) => `M${round2(x)} ${top - 4}V${round2(bottom - 14)}`).join('');
  return [
    `<path d="${lines}" stroke="#d9d9d9" fill="none"/>`,
    ...(at.compact ? labels(top - 10) : []),
    ...labels(bottom - 3),
  ].join('\n');
}

function drawLane<S>(
  boxes: readonly Box<S>[],
  at: { readonly y: number; readonly height: number },
  { paintOf, labelsOf, tooltipOf }: SvgChart<S>,
  tooltips: boolean,
): string {
  const parts: string[] = [];
  const texts: string[] = [];
  const outlines = new Map<string, string>();
  for (const { x, width, from, to, span, count } of boxes) {
    // A sliver of background separates neighbours.
    const visible = round2(width - Math.min(0.6, width * 0.1));
    const high = round2((to - from) * (at.height - 1));
    if (visible <= 0 || high <= 0) continue;
    const [left, top, fill] = [round2(x), round2(at.y + from * at.height), fillOf(paintOf(span))];
    if (tooltips)
      parts.push(
        `<rect x="${left}" y="${top}" width="${visible}" height="${high}" fill="${fill}"><title>${escapeXml(tooltipOf(span, count))}</title></rect>`,
      );
    else outlines.set(fill, `${outlines.get(fill) ?? ''}M${left} ${top}h${visible}v${high}h${-visible}z`);
    if (at.height < 11 || count > 1) continue;
    const label = [11, 8]
      .flatMap((size) => labelsOf(span).map((content) => ({ content, size })))
      .find(({ content, size }) => content !== '' && textWidth(content, size) <= width - 2);
    if (label)
      texts.push(
        text(
          x + width / 2,
          at.y + at.height / 2 + label.size * 0.36,
          label.content,
          `text-anchor="middle" font-size="${label.size}" fill="#000000" stroke="#ffffff" stroke-width="2.5" stroke-linejoin="round" paint-order="stroke"`,
        ),
      );
  }
  for (const [fill, outline] of outlines) parts.push(`<path d="${outline}" fill="${fill}"/>`);
  return [...parts, ...texts].join('\n');
}

const fillOf = ({ id }: Paint): string => `url(#${id})`;

function definePaints(paints: readonly Paint[]): string {
  const patterns = [...new Map(paints.map((paint) => [paint.id, paint]))]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, { colours, hatch }]) => {
      const stripe = 8 / colours.length;
      const base = colours.map((colour, index) => rect(0, index * stripe, 8, stripe, colour)).join('');
      const lines = hatch
        ? `<path d="${hatch.path}" stroke="${hatch.colour}" stroke-width="${hatch.width}" fill="none"/>`
        : '';
      return `<pattern id="${id}" width="8" height="8" patternUnits="userSpaceOnUse">${base}${lines}</pattern>`;
    });
  return `<defs>\n${patterns.join('\n')}\n</defs>`;
}

function drawLegend(
  legend: SvgChart<unknown>['legend'],
  top: number,
  width: number,
): { svg: string; bottom: number } {
  const parts: string[] = [];
  let y = top;
  for (const entries of legend) {
    if (entries.length === 0) continue;
    let x = margin;
    for (const { paint, letter, label } of entries) {
      const shown = cutText(label, 11, width - 2 * margin - 30);
      const needed = 44 + textWidth(shown, 11);
      if (x > margin && x + needed > width - margin) [x, y] = [margin, y + 18];
      parts.push(
        rect(x, y, 24, 12, fillOf(paint), 'stroke="#999999" stroke-width="0.5"'),
        text(x + 30, y + 10, shown),
      );
      if (letter !== undefined)
        parts.push(
          text(
            x + 12,
            y + 9.5,
            letter,
            'text-anchor="middle" font-size="10" stroke="#ffffff" stroke-width="2.5" paint-order="stroke"',
          ),
        );
      x += needed;
    }
    y += 18;
  }
  return { svg: parts.join('\n'), bottom: y };
}
