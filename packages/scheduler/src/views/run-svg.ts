/** A plan as a drawing of the whole run: a row for each device with its jobs, and one for each medium with what is fetched and collected. */
import { formatPercent, formatSeconds } from '../format.js';
import type { Plan } from '../planner/planned.js';
import type { Cluster } from '../problem/cluster.js';
import type { DrawSvgOptions } from './gantt-svg.js';
import { runChartOf, type RunKind, type RunSpan } from './run-rows.js';
import { type Hatch, tintCount, tinted } from './span-style.js';
import { drawSvgChart, type Paint } from './svg-chart.js';

/** Okabe and Ito's colours, which colour-blind people can distinguish; further tasks have tints of them. */
const colours = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442'];

const kinds: Readonly<Record<RunKind, { readonly label: string; readonly hatch?: Hatch }>> = {
  train: { label: 'training' },
  cached: {
    label: 'training, prefix from the cache',
    hatch: { path: 'M-1 1L1 -1M0 8L8 0M7 9L9 7', colour: '#ffffff', width: 0.9 },
  },
  answer: { label: 'answering', hatch: { path: 'M1 2h2M5 6h2', colour: '#ffffff', width: 2 } },
  held: { label: 'waiting', hatch: { path: 'M1 1h1M5 5h1', colour: '#a6a6a6', width: 0.8 } },
  fetch: { label: 'fetched', hatch: { path: 'M0 4h8', colour: '#ffffff', width: 1.5 } },
  collect: { label: 'collected', hatch: { path: 'M4 0v8', colour: '#ffffff', width: 1.5 } },
};

/** The whole run as a self-contained SVG, readable in print. Equal input gives equal bytes. */
export function drawRunSvg(
  plan: Plan,
  cluster: Cluster,
  { title = 'The whole run: which device trains what, and when', widthPixels }: DrawSvgOptions = {},
): string {
  const { rows, tasks, summary } = runChartOf(plan, cluster);
  const shown = new Set(rows.flatMap(({ lanes }) => lanes.flat().map(({ kind }) => kind)));
  const paintOf = ({ kind, tasks: of }: Pick<RunSpan, 'kind' | 'tasks'>): Paint => {
    const { hatch } = kinds[kind];
    const indices = kind === 'held' ? [] : of.map((task) => tasks.indexOf(task)).slice(0, 4);
    return {
      id: ['gear-run', kind, ...indices].join('-'),
      colours: indices.length > 0 ? indices.map(colourOf) : [kind === 'held' ? '#f2f2f2' : '#8c8c8c'],
      ...(hatch ? { hatch } : {}),
    };
  };
  return drawSvgChart(
    {
      title,
      subtitle: summary.join(', '),
      footer: `critical path: ${plan.explanation.criticalPath.join(' → ')}`,
      endSeconds: plan.totalSeconds,
      rows: rows.map(({ name, isDevice, lanes, busyFraction }, index) => ({
        name,
        note: isDevice ? (lanes.flat().length > 0 ? '' : 'not used') : 'fetches, collections',
        value: formatPercent(busyFraction),
        bar: isDevice ? '#0072b2' : '#cc79a7',
        band: index % 2 === 0,
        lanes: lanes.map((spans) => ({ spans, share: 1 / lanes.length })),
        marks: [],
      })),
      legend: [
        (Object.keys(kinds) as RunKind[])
          .filter((kind) => shown.has(kind))
          .map((kind) => ({ paint: paintOf({ kind, tasks: [] }), label: kinds[kind].label })),
        tasks.map((task) => ({ paint: paintOf({ kind: 'train', tasks: [task] }), label: task })),
      ],
      paintOf,
      labelsOf: ({ kind, tasks: of }) => (kind === 'held' ? [] : [of.join(' + ')]),
      tooltipOf: ({ text, startSeconds, endSeconds }, count) =>
        `${text} · ${formatSeconds(startSeconds)} to ${formatSeconds(endSeconds)}${count > 1 ? ` · and ${count - 1} more` : ''}`,
    },
    'drawRunSvg',
    widthPixels,
  );
}

const colourOf = (task: number): string =>
  tinted(colours[task % colours.length]!, Math.floor(task / colours.length) % tintCount);
