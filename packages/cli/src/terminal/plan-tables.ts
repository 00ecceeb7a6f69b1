/** A simulated plan on a terminal. */
import type { Cluster, Plan, SimulatedPlan } from '@contextlora/scheduler';
import { describePlan, drawGanttText, runChart, stepChart } from '@contextlora/scheduler/views';

import { formatTable } from './table.js';

/** A plan in words, a table of its devices, and charts of the whole run and of the first steps of its longest interval. */
export function describeSimulatedPlan(
  { plan: found, schedule, timeline }: SimulatedPlan,
  cluster: Cluster,
): string[] {
  return [
    ...describePlan(found, cluster).split('\n'),
    '',
    ...deviceTable(found, cluster),
    '',
    'The whole run:',
    ...drawGanttText(runChart(found, cluster)).split('\n'),
    `The first steps of the longest interval (${schedule.placements.flatMap(({ tasks }) => tasks).join(' + ')}):`,
    ...drawGanttText(stepChart(timeline, schedule)).split('\n'),
  ];
}

function deviceTable(found: Plan, { devices }: Cluster): string[] {
  const intervals = found.jobs.flatMap((job) => job.intervals);
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  return formatTable(
    ['device', 'layers at most', 'memory at most', 'of', 'energy'],
    devices.map(({ id, memoryBytes }) => {
      const layers = intervals.flatMap(({ placement }) =>
        placement.stages
          .filter(({ members }) => members.some(({ device }) => device === id))
          .map(({ start, end }) => end - start),
      );
      const peak = Math.max(0, ...intervals.map(({ peakMemoryBytes }) => peakMemoryBytes[id] ?? 0));
      const joules = intervals.reduce((sum, { joulesByDevice }) => sum + (joulesByDevice[id] ?? 0), 0);
      return [
        id,
        layers.length === 0 ? 'not used' : String(Math.max(...layers)),
        layers.length === 0 ? '' : gigabytes(peak),
        gigabytes(memoryBytes),
        joules > 0 ? `${(joules / 3600).toFixed(2)} Wh` : '',
      ];
    }),
  );
}
