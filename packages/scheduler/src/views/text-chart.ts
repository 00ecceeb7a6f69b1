/** A chart of spans for the terminal: a line per row, a character per slot of time. */
import { timeTicks } from '../format.js';
import { SchedulerError } from '../scheduler-error.js';
import { cellsOf, fit, printable, wrap } from './cells.js';
import type { TimedSpan } from './chart-boxes.js';

export interface DrawTextOptions {
  /** Width of the terminal. */
  readonly columns?: number;
  /** Adds ANSI colours. */
  readonly colour?: boolean;
}

/** What fills a slot. */
interface Mark {
  /** Several take turns. */
  readonly characters: string;
  /** Parameter of an ANSI escape sequence. */
  readonly ansi: string;
}

export interface MarkedSpan extends TimedSpan {
  readonly mark: Mark;
}

export interface TextRow {
  readonly prefix: string;
  readonly name: string;
  readonly suffix: string;
  readonly spans: readonly MarkedSpan[];
  /** Shown where nothing of `spans` is. */
  readonly below: readonly MarkedSpan[];
}

export interface TextChart {
  readonly summary: readonly string[];
  readonly head: Pick<TextRow, 'prefix' | 'name' | 'suffix'>;
  readonly rows: readonly TextRow[];
  readonly legend: readonly string[];
  readonly endSeconds: number;
}

const leastColumns = 50;
const idle: Mark = { characters: '·', ansi: '90' };

/** Lines, none wider than `columns`. */
export function drawTextChart(
  { summary, head, rows, legend, endSeconds }: TextChart,
  caller: string,
  { columns = 100, colour = false }: DrawTextOptions,
): string {
  if (columns < leastColumns)
    throw new SchedulerError(
      'SCHEDULER_VIEW_INVALID',
      caller,
      `${columns} columns are too few, give at least ${leastColumns}`,
    );
  const all = [head, ...rows];
  const widest = (texts: readonly string[]) => texts.reduce((most, one) => Math.max(most, cellsOf(one)), 0);
  const names = all.map(({ name }) => printable(name));
  const prefixWidth = widest(all.map(({ prefix }) => prefix));
  const suffixWidth = widest(all.map(({ suffix }) => suffix));
  const nameWidth = Math.min(widest(names), Math.max(6, Math.floor(columns / 4) - prefixWidth));
  const width = columns - prefixWidth - nameWidth - suffixWidth - 3;
  const line = (index: number, bar: string) => {
    const { prefix, suffix } = all[index]!;
    return `${prefix.padStart(prefixWidth)} ${fit(names[index]!, nameWidth)} ${bar} ${suffix}`;
  };
  return [
    ...wrap(summary, columns),
    line(0, axis(endSeconds, width)),
    ...rows.map((row, index) => line(index + 1, paint(slotsOf(row, endSeconds, width), colour))),
    ...wrap(legend, columns),
  ]
    .map((one) => `${one.trimEnd()}\n`)
    .join('');
}

function slotsOf({ spans, below }: TextRow, endSeconds: number, width: number): Mark[] {
  const slot = endSeconds / width;
  /** Seconds of every mark in every slot. */
  const share = (list: readonly MarkedSpan[]) => {
    const slots = Array.from({ length: width }, () => new Map<string, { mark: Mark; seconds: number }>());
    for (const { startSeconds, endSeconds: end, mark } of list) {
      const key = mark.characters + mark.ansi;
      for (
        let index = Math.min(width - 1, Math.floor(startSeconds / slot));
        index < width && index * slot < end;
        index++
      ) {
        const seconds = Math.min(end, (index + 1) * slot) - Math.max(startSeconds, index * slot);
        if (seconds <= 0) continue;
        const entry = slots[index]!.get(key) ?? { mark, seconds: 0 };
        entry.seconds += seconds;
        slots[index]!.set(key, entry);
      }
    }
    return slots;
  };
  const under = share(below);
  // What is too short for a slot is carried over, so that the marks of a row add up to its time; the tolerance keeps rounding from
  // deciding ties.
  const half = slot * (0.5 - 1e-9);
  let carried = 0;
  return share(spans).map((entries, index): Mark => {
    let most: { mark: Mark; seconds: number } | undefined;
    for (const entry of entries.values()) {
      carried += entry.seconds;
      if (!most || entry.seconds > most.seconds + slot * 1e-9) most = entry;
    }
    if (most && carried >= half) {
      carried -= slot;
      return turn(most.mark, index);
    }
    const other = [...under[index]!.values()].find(({ seconds }) => seconds > 0 && seconds >= half);
    return other ? turn(other.mark, index) : idle;
  });
}

const turn = ({ characters, ansi }: Mark, index: number): Mark => ({
  characters: characters.charAt(index % characters.length),
  ansi,
});

function axis(endSeconds: number, width: number): string {
  let line = '';
  for (const { seconds, label } of timeTicks(endSeconds, Math.max(2, Math.floor(width / 10)))) {
    const at = endSeconds > 0 ? Math.round((seconds / endSeconds) * width) : 0;
    const text = `|${label}`;
    if (at < line.length + (at > 0 ? 1 : 0) || at + text.length > width) continue;
    line = line.padEnd(at) + text;
  }
  return line.padEnd(width);
}

function paint(marks: readonly Mark[], colour: boolean): string {
  let text = '';
  let code = '';
  for (const { characters, ansi } of marks) {
    const next = colour ? ansi : '';
    if (next !== code) text += `\u001b[${next || '0'}m`;
    code = next;
    text += characters;
  }
  return code ? `${text}\u001b[0m` : text;
}
