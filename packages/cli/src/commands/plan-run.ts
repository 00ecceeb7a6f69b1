/** From tasks, a model's dimensions and devices to a plan, and what is shown of it. */
import { partitionRanks } from '@contextlora/lora';
import { linearsOf, type ModelSpec } from '@contextlora/model';
import {
  type Cluster,
  clusterInModes,
  drawGanttSvg,
  drawGanttText,
  type Objective,
  plan,
  type Plan,
  type Schedule,
  scheduleOf,
  simulate,
  tellPlan,
  type Timeline,
  type TraceFile,
  traceEvents,
  type Workload,
} from '@contextlora/scheduler';
import { ancestorsOf, tasksOf, type TaskGraph } from '@contextlora/task-graph';
import { planPhases } from '@contextlora/trainer';

import { type KeptFormat, workloadsOf } from '../seam/workloads-of.js';
import { formatTable } from '../terminal/table.js';

export interface PlanSettings {
  readonly rank: number;
  readonly samples: number;
  readonly tokens: number;
  readonly answered: number;
  readonly steps: number;
  readonly epochs: number;
  readonly base: KeptFormat;
  /** Deeper tasks own ranks in upper layers only: at depth 1 in the upper half, at depth 2 in the upper quarter, and so on. */
  readonly frozenPrefix: boolean;
}

/** The workloads of all tasks of a graph. */
export function graphWorkloads(spec: ModelSpec, graph: TaskGraph, settings: PlanSettings): Workload[] {
  const { layerCount } = spec.text;
  const tasks = tasksOf(graph);
  const depths = depthsOf(graph);
  const only = Object.fromEntries(
    tasks.map(({ id }) => [
      id,
      {
        from: Math.min(layerCount - 1, Math.round(layerCount * (1 - 0.5 ** depths.get(id)!))),
        to: layerCount,
      },
    ]),
  );
  const linears = linearsOf(spec);
  const partition = partitionRanks(
    settings.frozenPrefix ? linears.filter(({ depth }) => depth !== undefined) : linears,
    tasks,
    { rank: settings.rank, ...(settings.frozenPrefix ? { only } : {}) },
  );
  const { samples, steps, epochs, tokens, answered, base } = settings;
  return workloadsOf(spec, partition, planPhases(graph), {
    base,
    trainingOf: () => ({
      sample: { tokens, answered, images: spec.vision ? 1 : 0 },
      samples,
      steps,
      epochs,
    }),
  });
}

function depthsOf(graph: TaskGraph): Map<string, number> {
  const depths = new Map<string, number>();
  const depthOf = (id: string): number => {
    const known = depths.get(id);
    if (known !== undefined) return known;
    const depth = 1 + Math.max(-1, ...ancestorsOf(graph, id).map(depthOf));
    depths.set(id, depth);
    return depth;
  };
  graph.forEachNode((id) => depthOf(id));
  return depths;
}

export interface PlannedRun {
  readonly plan: Plan;
  readonly schedule: Schedule;
  readonly timeline: Timeline;
}

export interface PlanRunOptions {
  readonly objective?: Objective;
  readonly joulesLimit?: number | undefined;
  /** Steps to draw. */
  readonly steps?: number;
}

/** Plans, and simulates the first steps of the longest wave for the pictures. */
export function planRun(
  workloads: readonly Workload[],
  cluster: Cluster,
  { objective = 'time', joulesLimit, steps = 2 }: PlanRunOptions = {},
): PlannedRun {
  const found = plan(workloads, cluster, {
    objective,
    ...(joulesLimit === undefined ? {} : { joulesLimit }),
  });
  const wave = found.waves.reduce((a, { seconds }, b) => (seconds > found.waves[a]!.seconds ? b : a), 0);
  const { schedule, workloads: active } = scheduleOf(found, workloads, cluster, { wave, steps });
  const timeline = simulate(schedule, active, clusterInModes(cluster, found.power?.modes ?? {}));
  return { plan: found, schedule, timeline };
}

/** What the terminal shows: the plan in words, memory and energy by device, and the chart. */
export function tellPlannedRun({ plan: found, schedule, timeline }: PlannedRun, cluster: Cluster): string[] {
  return [
    ...tellPlan(found).split('\n'),
    '',
    ...deviceTable(found, cluster),
    '',
    `The first steps of the longest wave (${schedule.placements.flatMap(({ tasks }) => tasks).join(' + ')}):`,
    ...drawGanttText(timeline, schedule).split('\n'),
  ];
}

function deviceTable(found: Plan, { devices }: Cluster): string[] {
  const segments = found.waves.flatMap(({ lanes }) => lanes.flatMap((lane) => lane.segments));
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  return formatTable(
    ['device', 'layers at most', 'memory at most', 'of', 'energy'],
    devices.map(({ id, memoryBytes }) => {
      const layers = segments.flatMap(({ placement }) =>
        placement.stages
          .filter(({ members }) => members.some(({ device }) => device === id))
          .map(({ start, end }) => end - start),
      );
      const peak = Math.max(0, ...segments.map(({ peakMemoryBytes }) => peakMemoryBytes[id] ?? 0));
      const joules = segments.reduce((sum, { joulesByDevice }) => sum + (joulesByDevice[id] ?? 0), 0);
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

export const planSvg = ({ schedule, timeline }: PlannedRun): string => drawGanttSvg(timeline, schedule);
export const planTrace = ({ schedule, timeline }: PlannedRun): TraceFile => traceEvents(timeline, schedule);
