/** The whole run as a chart: a row for each device with its jobs, and one for each medium with what is fetched and collected. */
import { resolveRoutes } from '../cost/routes.js';
import { formatBytes, formatPercent, formatSeconds, letterOf, plural } from '../format.js';
import type { Plan, PlannedAnswer, PlannedJob, PlannedTransfer } from '../planner/planned.js';
import type { Cluster } from '../problem/cluster.js';
import { type Chart, type ChartRow, type ChartSpan, lanesOf, type Look, type TimedSpan } from './chart.js';
import { style, tintCount, tinted } from './span-style.js';

/** Okabe and Ito's colours; further tasks have tints of them. */
const colours = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442'];

const grey = '#8c8c8c';

/** `held`: the device is the job's, and waits. */
const kinds = {
  train: style('training', 'a–z training', grey),
  cached: style(
    'training, prefix from the cache',
    'A–Z with the prefix from the cache',
    grey,
    'M-1 1L1 -1M0 8L8 0M7 9L9 7',
  ),
  answer: style('answering', '? answering', grey, 'M1 2h2M5 6h2', '#ffffff', 2),
  held: style('waiting', '- waiting', '#f2f2f2', 'M1 1h1M5 5h1', '#a6a6a6', 0.8),
  fetch: style('fetched', '< fetched', grey, 'M0 4h8', '#ffffff', 1.5),
  collect: style('collected', '> collected', grey, 'M4 0v8', '#ffffff', 1.5),
};

type RunKind = keyof typeof kinds;

/** A span before it has its look: `tasks` decide its colours. */
interface RunSpan extends TimedSpan {
  readonly kind: RunKind;
  readonly tasks: readonly string[];
  readonly text: string;
}

export function runChart(plan: Plan, cluster: Cluster): Chart {
  const { jobs, totalSeconds, totalBytes, explanation } = plan;
  const tasks = [...new Set(jobs.flatMap((job) => job.tasks))];
  const looks: Record<string, Look> = {};
  const shown = new Set<RunKind>();
  const lookOf = (kind: RunKind, of: readonly string[]): string => {
    const indices = kind === 'held' ? [] : of.slice(0, 4).map((task) => tasks.indexOf(task));
    const { colour, hatch } = kinds[kind];
    const name = ['run', kind, ...indices].join('-');
    looks[name] ??= { colours: indices.length > 0 ? indices.map(colourOf) : [colour], hatch };
    return name;
  };
  const chartSpan = ({ kind, tasks: of, startSeconds, endSeconds, text }: RunSpan): ChartSpan => {
    shown.add(kind);
    const letters = of.map((task) => letterOf(tasks.indexOf(task)).slice(-1)).join('');
    const mark =
      kind === 'train' ? letters : kind === 'cached' ? letters.toUpperCase() : kinds[kind].mark.charAt(0);
    const labels = kind === 'held' ? [] : [of.join(' + '), letters];
    return { startSeconds, endSeconds, look: lookOf(kind, of), labels, mark, text };
  };
  const row = (name: string, note: string, lanes: readonly (readonly RunSpan[])[], bar: string) => {
    const used = secondsOf(lanes.flat().filter(({ kind }) => kind !== 'held'));
    return {
      name,
      short: '',
      note,
      values: [formatPercent(totalSeconds > 0 ? used / totalSeconds : 0)],
      bar,
      lanes: lanes.map((spans) => ({ spans: spans.map(chartSpan), share: 1 / lanes.length })),
      dashes: [],
    };
  };
  const media = new Map<string, PlannedTransfer[]>();
  const mediumOf = mediaOf(cluster);
  for (const transfer of jobs.flatMap(({ fetches, collects }) => [...fetches, ...collects]).sort(byStart)) {
    const medium = mediumOf(transfer);
    const list = media.get(medium);
    if (list) list.push(transfer);
    else media.set(medium, [transfer]);
  }
  const rows = [
    ...cluster.devices.map(({ id }) => {
      const spans = jobs.flatMap((job) => spansOn(id, job)).sort(byStart);
      return row(id, spans.length === 0 ? 'not used' : '', [spans], '#0072b2');
    }),
    ...[...media]
      .sort()
      .map(([medium, list]) => row(medium, 'transfers', lanesOf(list.map(transferSpan)), '#cc79a7')),
  ].map((one, index): ChartRow => ({ ...one, band: index % 2 === 0 }));
  const legend = (Object.keys(kinds) as RunKind[]).filter((kind) => shown.has(kind));
  return {
    title: 'The whole run: which device trains what, and when',
    summary: [
      `${formatSeconds(totalSeconds)} in all`,
      plural(jobs.length, 'job'),
      `${formatBytes(totalBytes)} sent`,
      `critical path ${explanation.criticalPath.join(' → ')}`,
    ],
    endSeconds: totalSeconds,
    heads: { short: '', values: ['used'] },
    rows,
    legend: [
      legend.map((kind) => ({ look: lookOf(kind, []), label: kinds[kind].label })),
      tasks.map((task, index) => ({ look: lookOf('train', [task]), letter: letterOf(index), label: task })),
    ],
    looks,
    marks: [
      ...legend.map((kind) => kinds[kind].mark),
      ...tasks.map((task, index) => `${letterOf(index)}: ${task}`),
      ...(tasks.length > 26 ? ['(last letter shown)'] : []),
    ],
  };
}

const byStart = (a: TimedSpan, b: TimedSpan): number =>
  a.startSeconds - b.startSeconds || a.endSeconds - b.endSeconds;

const colourOf = (task: number): string =>
  tinted(colours[task % colours.length]!, Math.floor(task / colours.length) % tintCount);

/** What a job does on a device, without gaps while the device is the job's. */
function spansOn(device: string, job: PlannedJob): RunSpan[] {
  const { tasks, devices, startSeconds, endSeconds, answers, intervals } = job;
  const done = [
    ...intervals
      .filter(({ placement }) =>
        placement.stages.some(({ members }) => members.some((one) => one.device === device)),
      )
      .map(({ steps, stepSeconds, cache, ...times }): RunSpan => {
        const kind = Object.values(cache).includes('read') ? 'cached' : 'train';
        const text = `${tasks.join(' + ')} · ${plural(steps, 'step')} of ${formatSeconds(stepSeconds)} · ${kinds[kind].label}`;
        return { ...times, kind, text };
      }),
    ...answers
      .filter((answer) => answer.devices.includes(device))
      .map((answer): RunSpan => ({
        ...answer,
        kind: 'answer',
        tasks: [answer.task],
        text: describeAnswer(answer),
      })),
  ].sort(byStart);
  if (!devices.includes(device)) return done;
  const text = `${tasks.join(' + ')} · waits for what it fetches, or for its other devices`;
  const starts = [...done.map((span) => span.startSeconds), endSeconds];
  const held = [startSeconds, ...done.map((span) => span.endSeconds)].flatMap((from, index): RunSpan[] =>
    starts[index]! - from > 1e-9 * endSeconds
      ? [{ kind: 'held', tasks, startSeconds: from, endSeconds: starts[index]!, text }]
      : [],
  );
  return [...done, ...held];
}

const transferSpan = (transfer: PlannedTransfer): RunSpan => ({
  ...transfer,
  kind: transfer.type,
  text: `${transfer.type} · ${describeTransfer(transfer)}`,
});

/** As in `weather answers 8 samples (validation)`. */
export const describeAnswer = ({ task, samples, reason }: PlannedAnswer): string =>
  `${task} answers ${plural(samples, 'sample')} (${reason})`;

/** As in `segment of weather, 3 MB from tx2 to orin`. */
export const describeTransfer = ({ what, tasks, bytes, from, to }: PlannedTransfer): string =>
  `${what}${tasks.length > 0 ? ` of ${tasks.join(', ')}` : ''}, ${formatBytes(bytes)} from ${from} to ${to}`;

/** The medium of a transfer, or `links` where it has a link of its own. */
function mediaOf(cluster: Cluster): (transfer: PlannedTransfer) => string {
  const routes = resolveRoutes(cluster);
  const indexOf = new Map(cluster.devices.map(({ id }, index) => [id, index]));
  return ({ from, to }) =>
    routes.media[routes.route(indexOf.get(from)!, indexOf.get(to)!)?.medium ?? -1] ?? 'links';
}

/** Time in which at least one of the spans is under way. */
function secondsOf(spans: readonly TimedSpan[]): number {
  let [sum, until] = [0, 0];
  for (const { startSeconds, endSeconds } of spans.toSorted(byStart)) {
    sum += Math.max(0, endSeconds - Math.max(startSeconds, until));
    until = Math.max(until, endSeconds);
  }
  return sum;
}
