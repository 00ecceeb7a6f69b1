/** A chart for the terminal: a line per row, a character per slot of time. */
import { timeTicks } from '../format.js';
import { SchedulerError } from '../scheduler-error.js';
import { cellsOf, fit, printable, wrap } from './cells.js';
import type { Chart, ChartRow, ChartSpan } from './chart.js';

export interface DrawGanttTextOptions {
  /** Width of the terminal. */
  readonly columns?: number;
}

const leastColumns = 50;
const idle = '·';

/** Lines of text, none wider than `columns`. */
export function drawGanttText(
  { summary, heads, rows, marks, endSeconds }: Chart,
  { columns = 100 }: DrawGanttTextOptions = {},
): string {
  if (!(columns >= leastColumns))
    throw new SchedulerError(
      'SCHEDULER_VIEW_INVALID',
      'drawGanttText',
      `${columns} columns are too few, give at least ${leastColumns}`,
    );
  const lines = [{ ...heads, name: 'device' }, ...rows].map(({ short, name, values }) => ({
    short,
    name: printable(name),
    values: values.map((value, index) => value.padStart(heads.values[index]!.length)).join(' '),
  }));
  const widest = (key: 'short' | 'name' | 'values') =>
    lines.reduce((most, line) => Math.max(most, cellsOf(line[key])), 0);
  const shortWidth = widest('short');
  const nameWidth = Math.min(widest('name'), Math.max(6, Math.floor(columns / 4) - shortWidth));
  const width = columns - shortWidth - (shortWidth > 0 ? 1 : 0) - nameWidth - widest('values') - 2;
  const bars = [axis(endSeconds, width), ...rows.map((row) => slotsOf(row, endSeconds, width))];
  return [
    ...wrap(
      summary.map((part, index) => printable(part) + (index < summary.length - 1 ? ',' : '')),
      columns,
    ),
    ...lines.map(({ short, name, values }, index) => {
      const before = shortWidth > 0 ? `${short.padStart(shortWidth)} ` : '';
      return `${before}${fit(name, nameWidth)} ${bars[index]!} ${values}`;
    }),
    ...wrap([...marks, `${idle} idle`].map(printable), columns),
  ]
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** For each slot the mark of what takes most of it; other lanes show where the first has nothing. */
function slotsOf({ lanes: [first, ...others] }: ChartRow, endSeconds: number, width: number): string {
  const slot = endSeconds / width;
  const below = share(
    others.flatMap(({ spans }) => spans),
    slot,
    width,
  );
  // What is too short for a slot is carried over, so that the marks of a row add up to its time; the tolerance keeps rounding from
  // deciding ties.
  const half = slot * (0.5 - 1e-9);
  let carried = 0;
  return share(first?.spans ?? [], slot, width)
    .map((entries, index) => {
      let [mark, most] = ['', 0];
      for (const [one, seconds] of entries) {
        carried += seconds;
        if (seconds > most + slot * 1e-9) [mark, most] = [one, seconds];
      }
      if (most > 0 && carried >= half) carried -= slot;
      else mark = [...below[index]!].find(([, seconds]) => seconds >= half)?.[0] ?? idle;
      return mark.charAt(index % mark.length);
    })
    .join('');
}

/** Seconds of every mark in every slot. */
function share(spans: readonly ChartSpan[], slot: number, width: number): Map<string, number>[] {
  const slots = Array.from({ length: width }, () => new Map<string, number>());
  for (const { startSeconds, endSeconds, mark } of spans) {
    if (mark === '') continue;
    for (let index = Math.min(width - 1, Math.floor(startSeconds / slot)); index < width; index++) {
      const seconds = Math.min(endSeconds, (index + 1) * slot) - Math.max(startSeconds, index * slot);
      if (seconds <= 0) break;
      slots[index]!.set(mark, (slots[index]!.get(mark) ?? 0) + seconds);
    }
  }
  return slots;
}

function axis(endSeconds: number, width: number): string {
  let line = '';
  for (const { seconds, label } of timeTicks(endSeconds, Math.max(2, Math.floor(width / 10)))) {
    const at = endSeconds > 0 ? Math.round((seconds / endSeconds) * width) : 0;
    const tick = `|${label}`;
    if (at < line.length + (at > 0 ? 1 : 0) || at + tick.length > width) continue;
    line = line.padEnd(at) + tick;
  }
  return line.padEnd(width);
}
