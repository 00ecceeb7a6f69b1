/** What all charts of a whole run have in common: each device with the jobs on it, each medium with what is sent over it. */
import { resolveRoutes } from '../cost/routes.js';
import { formatBytes, formatSeconds, plural } from '../format.js';
import type {
  Plan,
  PlannedAnswer,
  PlannedInterval,
  PlannedJob,
  PlannedTransfer,
} from '../planner/planned.js';
import type { Cluster } from '../problem/cluster.js';
import { lanesOf, type TimedSpan } from './chart-boxes.js';

/** `cached`: training that reads a frozen prefix from the cache; `held`: the device is the job's, and waits. */
export type RunKind = 'train' | 'cached' | 'answer' | 'held' | PlannedTransfer['type'];

export interface RunSpan extends TimedSpan {
  readonly kind: RunKind;
  /** What it is for; none for base layers. */
  readonly tasks: readonly string[];
  /** Everything there is to know, in words. */
  readonly text: string;
}

export interface RunRow {
  /** A device, a medium, or `links` for all links without one. */
  readonly name: string;
  readonly isDevice: boolean;
  /** One lane of a device; as many as are needed for transfers that overlap. */
  readonly lanes: readonly (readonly RunSpan[])[];
  /** Share of the run in which it trains, answers or sends. */
  readonly busyFraction: number;
}

export interface RunChart {
  readonly rows: readonly RunRow[];
  /** In the order of the jobs. */
  readonly tasks: readonly string[];
  /** `7.9 min in all`, jobs, bytes. */
  readonly summary: readonly string[];
}

export function runChartOf({ jobs, totalSeconds, totalBytes }: Plan, cluster: Cluster): RunChart {
  const row = (name: string, isDevice: boolean, lanes: readonly (readonly RunSpan[])[]): RunRow => {
    const busy = mergedSeconds(lanes.flat().filter(({ kind }) => kind !== 'held'));
    return { name, isDevice, lanes, busyFraction: totalSeconds > 0 ? busy / totalSeconds : 0 };
  };
  const used = new Set(jobs.flatMap(({ devices }) => devices));
  const transfers = Map.groupBy(
    jobs.flatMap(({ fetches, collects }) => [...fetches, ...collects]).sort(byStart),
    mediumOf(cluster),
  );
  return {
    rows: [
      ...cluster.devices.map(({ id }) =>
        row(id, true, [jobs.flatMap((job) => spansOn(id, job)).sort(byStart)]),
      ),
      ...[...transfers]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([medium, list]) => row(medium, false, lanesOf(list.map(transferSpan)))),
    ],
    tasks: [...new Set(jobs.flatMap(({ tasks }) => tasks))],
    summary: [
      `${formatSeconds(totalSeconds)} in all`,
      plural(jobs.length, 'job'),
      `${used.size} of ${plural(cluster.devices.length, 'device')} used`,
      `${formatBytes(totalBytes)} sent`,
    ],
  };
}

const byStart = (a: TimedSpan, b: TimedSpan): number =>
  a.startSeconds - b.startSeconds || a.endSeconds - b.endSeconds;

/** What a job does on a device, without gaps while the device is the job's. */
function spansOn(
  device: string,
  { tasks, devices, startSeconds, endSeconds, answers, intervals }: PlannedJob,
) {
  const done = [
    ...intervals
      .filter(({ placement }) =>
        placement.stages.some(({ members }) => members.some((member) => member.device === device)),
      )
      .map(intervalSpan),
    ...answers.filter((answer) => answer.devices.includes(device)).map(answerSpan),
  ].sort(byStart);
  if (!devices.includes(device)) return done;
  const spans: RunSpan[] = [];
  let from = startSeconds;
  const hold = (until: number) => {
    if (until - from > 1e-9 * endSeconds)
      spans.push({
        kind: 'held',
        tasks,
        startSeconds: from,
        endSeconds: until,
        text: `${tasks.join(' + ')}: waits for what it fetches, or for the others`,
      });
  };
  for (const span of done) {
    hold(span.startSeconds);
    spans.push(span);
    from = span.endSeconds;
  }
  hold(endSeconds);
  return spans;
}

const intervalSpan = (interval: PlannedInterval): RunSpan => {
  const { tasks, steps, stepSeconds, cache, startSeconds, endSeconds } = interval;
  const reads = Object.values(cache).includes('read');
  return {
    kind: reads ? 'cached' : 'train',
    tasks,
    startSeconds,
    endSeconds,
    text: `${tasks.join(' + ')}: ${plural(steps, 'step')} of ${formatSeconds(stepSeconds)}${reads ? ', prefix from the cache' : ''}`,
  };
};

const answerSpan = ({ task, reason, samples, startSeconds, endSeconds }: PlannedAnswer): RunSpan => ({
  kind: 'answer',
  tasks: [task],
  startSeconds,
  endSeconds,
  text: `${task}: answers ${plural(samples, 'sample')} (${reason})`,
});

const transferSpan = (transfer: PlannedTransfer): RunSpan => ({
  kind: transfer.type,
  tasks: transfer.tasks,
  startSeconds: transfer.startSeconds,
  endSeconds: transfer.endSeconds,
  text: `${transfer.type}: ${describeTransfer(transfer)}`,
});

/** As in `segment of weather, 3 MB from tx2 to orin`. */
export const describeTransfer = ({ what, tasks, bytes, from, to }: PlannedTransfer): string =>
  `${what}${tasks.length > 0 ? ` of ${tasks.join(', ')}` : ''}, ${formatBytes(bytes)} from ${from} to ${to}`;

function mediumOf(cluster: Cluster): (transfer: PlannedTransfer) => string {
  const routes = resolveRoutes(cluster);
  const indexOf = new Map(cluster.devices.map(({ id }, index) => [id, index]));
  return ({ from, to }) => {
    const medium = routes.route(indexOf.get(from) ?? -1, indexOf.get(to) ?? -1)?.medium ?? -1;
    return routes.media[medium] ?? 'links';
  };
}

/** Time in which at least one of the spans, sorted by start or not, is under way. */
function mergedSeconds(spans: readonly TimedSpan[]): number {
  let sum = 0;
  let until = 0;
  for (const { startSeconds, endSeconds } of spans.toSorted(byStart)) {
    sum += Math.max(0, endSeconds - Math.max(startSeconds, until));
    until = Math.max(until, endSeconds);
  }
  return sum;
}
