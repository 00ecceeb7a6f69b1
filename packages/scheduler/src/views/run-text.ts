/** A plan for the terminal: the whole run, a line per device, and one for each medium with what is fetched and collected. */
import { formatPercent, letterOf } from '../format.js';
import type { Plan } from '../planner/planned.js';
import type { Cluster } from '../problem/cluster.js';
import { printable } from './cells.js';
import { runChartOf, type RunKind, type RunSpan } from './run-rows.js';
import { drawTextChart, type DrawTextOptions, type MarkedSpan } from './text-chart.js';

/** What is not training: its character, and what the legend says. */
const plainKinds: Readonly<Partial<Record<RunKind, string>>> = {
  answer: '? answering',
  held: '- waiting',
  fetch: '< fetched',
  collect: '> collected',
};

/** The whole run as lines of text, none wider than `columns`. */
export function drawRunText(plan: Plan, cluster: Cluster, options: DrawTextOptions = {}): string {
  const { rows, tasks, summary } = runChartOf(plan, cluster);
  const kinds = new Set(rows.flatMap(({ lanes }) => lanes.flat().map(({ kind }) => kind)));
  const marked = (span: RunSpan): MarkedSpan => {
    const indices = span.tasks.map((task) => tasks.indexOf(task));
    const letters = indices.map((index) => letterOf(index).slice(-1)).join('');
    const characters =
      plainKinds[span.kind]?.charAt(0) ?? (span.kind === 'cached' ? letters.toUpperCase() : letters);
    return { ...span, mark: { characters, ansi: String(31 + ((indices[0] ?? 0) % 6)) } };
  };
  return drawTextChart(
    {
      summary: summary.map((part, index) => (index < summary.length - 1 ? `${part},` : part)),
      head: { prefix: '', name: 'device', suffix: 'busy' },
      rows: rows.map(({ name, lanes, busyFraction }) => {
        const spans = lanes.flat();
        return {
          prefix: '',
          name,
          suffix: formatPercent(busyFraction).padStart(4),
          spans: spans.filter(({ kind }) => kind !== 'held').map(marked),
          below: spans.filter(({ kind }) => kind === 'held').map(marked),
        };
      }),
      legend: [
        ...tasks.map((task, index) => `${letterOf(index)} ${printable(task)}`),
        ...(tasks.length > 26 ? ['(last letter shown)'] : []),
        ...(kinds.has('cached') ? ['A–Z prefix from the cache'] : []),
        ...Object.entries(plainKinds).flatMap(([kind, legend]) =>
          kinds.has(kind as RunKind) ? [legend] : [],
        ),
        '· idle',
      ],
      endSeconds: plan.totalSeconds,
    },
    'drawRunText',
    options,
  );
}
