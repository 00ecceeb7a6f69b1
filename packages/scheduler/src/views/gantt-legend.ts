/** How the spans of a drawing are filled, and the legend that explains it. */
import type { Chart, DrawnSpan, SpanKind } from './chart-rows.js';
import type { Box } from './chart-boxes.js';
import { letterOf } from '../format.js';
import { type Drawing, margin, stepEndsOf } from './gantt-frame.js';
import { inkOn, spanKinds, spanStyles, tintCount, tinted } from './span-style.js';
import { cutText, rect, round2, text, textWidth } from './svg-elements.js';

const tintOf = ({ task }: DrawnSpan, { tasks }: Chart): number =>
  task === undefined ? 0 : Math.max(0, tasks.indexOf(task)) % tintCount;

/** Equal ids mean equal patterns, so that several drawings can share a page. */
const patternId = (kind: SpanKind, tint: number): string => `gear-${kind}-${tint}`;

/** The paint of a span's box. */
export const fillOf = (span: DrawnSpan, chart: Chart): string =>
  `url(#${patternId(span.kind, tintOf(span, chart))})`;

/** The colour under a span's hatch, and that of text on it. */
export function coloursOf(span: DrawnSpan, chart: Chart): { colour: string; ink: string } {
  const colour = tinted(spanStyles[span.kind].colour, tintOf(span, chart));
  return { colour, ink: inkOn(colour) };
}

/** The patterns that the boxes and the legend use. */
export function drawPatterns(boxes: readonly Box[], { chart }: Drawing): string {
  const used = new Map(boxes.map(({ span }) => [patternId(span.kind, tintOf(span, chart)), span]));
  for (const kind of kindsIn(chart)) {
    const legend: DrawnSpan = { device: '', type: 'load', startSeconds: 0, endSeconds: 0, kind };
    if (!used.has(patternId(kind, 0))) used.set(patternId(kind, 0), legend);
  }
  const patterns = [...used]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, span]) => {
      const { hatch } = spanStyles[span.kind];
      const base = `<rect width="8" height="8" fill="${coloursOf(span, chart).colour}"/>`;
      const lines = hatch
        ? `<path d="${hatch.path}" stroke="${hatch.colour}" stroke-width="${hatch.width}" fill="none"/>`
        : '';
      return `<pattern id="${id}" width="8" height="8" patternUnits="userSpaceOnUse">${base}${lines}</pattern>`;
    });
  return `<defs>\n${patterns.join('\n')}\n</defs>`;
}

function kindsIn({ rows }: Chart): SpanKind[] {
  const found = new Set(
    rows.flatMap(({ work, transfers }) => [work, ...transfers].flat().map(({ kind }) => kind)),
  );
  return spanKinds.filter((kind) => found.has(kind));
}

/** Every kind of span in the drawing, the tasks' tints and letters. */
export function drawLegend(
  { chart, layout: { width }, timeline }: Drawing,
  top: number,
): { svg: string; bottom: number } {
  const parts: string[] = [];
  let x = margin;
  let y = top;
  const item = (swatch: (x: number, y: number) => string, label: string) => {
    const shown = cutText(label, 11, width - 2 * margin - 30);
    const needed = 30 + textWidth(shown, 11) + 14;
    if (x > margin && x + needed > width - margin) [x, y] = [margin, y + 18];
    parts.push(swatch(x, y), text(x + 30, y + 10, shown));
    x += needed;
  };
  for (const kind of kindsIn(chart))
    item(
      (at, height) =>
        rect(at, height, 24, 12, `url(#${patternId(kind, 0)})`, 'stroke="#999999" stroke-width="0.5"'),
      spanStyles[kind].label,
    );
  if (stepEndsOf(timeline).some(({ length }) => length > 0))
    item(
      (at, height) =>
        `<path d="M${round2(at + 12)} ${round2(height - 1)}v14" stroke="#333333" stroke-dasharray="4 3" fill="none"/>`,
      'end of an optimizer step',
    );
  [x, y] = [margin, y + 18];
  if (chart.tasks.length > 1)
    for (const [index, task] of chart.tasks.entries()) {
      const colour = tinted(spanStyles.forward.colour, index % tintCount);
      item(
        (at, height) =>
          rect(at, height, 24, 12, colour) +
          text(
            at + 12,
            height + 9.5,
            letterOf(index),
            `text-anchor="middle" font-size="10" fill="${inkOn(colour)}"`,
          ),
        task,
      );
    }
  item(
    (at, height) =>
      rect(at, height, 24, 12, '#ffffff', 'stroke="#999999" stroke-width="0.5"') +
      text(at + 12, height + 9.5, '0', 'text-anchor="middle" font-size="10"'),
    'number of the micro-batch',
  );
  return { svg: parts.join('\n'), bottom: y + 18 };
}
