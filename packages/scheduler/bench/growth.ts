/** How planning and simulation times grow with devices, layers and tasks. Wall-clock times of this machine. */
import {
  type Cluster,
  openCostModel,
  oneForwardOneBackward,
  buildSchedule,
  plan,
  SchedulerError,
  simulateWith,
  type Workload,
} from '@contextlora/scheduler';
import type { TopLevelSpec } from 'vega-lite';

import { randomProblem, seededRandom } from './random-problems.js';
import { formatTable } from './table.js';

export interface GrowthPoint {
  readonly what: 'plan' | 'simulate';
  readonly devices: number;
  readonly layers: number;
  readonly tasks: number;
  readonly seconds: number;
  readonly instructions?: number;
  /** Of a plan: whether its links share the air, what it takes, and what the plan of the fastest half of the devices does. */
  readonly shared?: boolean;
  readonly totalSeconds?: number;
  readonly halfSeconds?: number;
}

const planned = [
  { devices: 4, layers: 24, tasks: 1 },
  { devices: 8, layers: 24, tasks: 1 },
  { devices: 16, layers: 48, tasks: 1 },
  { devices: 32, layers: 48, tasks: 1 },
  { devices: 64, layers: 100, tasks: 1 },
  { devices: 200, layers: 100, tasks: 1 },
  { devices: 8, layers: 24, tasks: 4 },
  { devices: 8, layers: 24, tasks: 12 },
  { devices: 16, layers: 48, tasks: 12 },
  { devices: 32, layers: 48, tasks: 12 },
  { devices: 200, layers: 100, tasks: 20 },
];

const simulated = [
  { devices: 10, layers: 100, microbatches: 64 },
  { devices: 100, layers: 100, microbatches: 64 },
  { devices: 1000, layers: 100, microbatches: 64 },
];

/** @param known points of an earlier run, which are not measured again */
export function* measureGrowth(clock: () => number, known: readonly GrowthPoint[]): Generator<GrowthPoint> {
  const knownAs = (point: Partial<GrowthPoint>) =>
    known.find((one) =>
      Object.entries(point).every(([key, value]) => one[key as keyof GrowthPoint] === value),
    );
  for (const { devices, layers, tasks } of planned) {
    for (const shared of [false, true]) {
      const before = knownAs({ what: 'plan', devices, layers, tasks, shared });
      if (before) {
        yield before;
        continue;
      }
      const { workloads, cluster } = taskSet({ devices, layers, tasks }, shared);
      const start = clock();
      const { totalSeconds } = plan(workloads, cluster);
      const seconds = clock() - start;
      const halfSeconds = secondsOfHalf(workloads, cluster);
      yield { what: 'plan', devices, layers, tasks, seconds, shared, totalSeconds, halfSeconds };
    }
  }
  for (const { devices, layers, microbatches } of simulated) {
    const { workload, cluster } = randomProblem(seededRandom(1), {
      devices,
      layers,
      samples: 10 * microbatches,
      memoryShare: 2,
      megabitsPerSecond: 1000,
      shared: false,
    });
    const costs = openCostModel([workload], cluster);
    const stageCount = Math.min(devices, layers);
    const group = devices / stageCount;
    const stages = Array.from({ length: stageCount }, (_, stage) => ({
      start: Math.floor((stage * layers) / stageCount),
      end: Math.floor(((stage + 1) * layers) / stageCount),
      members: cluster.devices
        .slice(stage * group, (stage + 1) * group)
        .map(({ id }) => ({ device: id, share: 1 / group })),
    }));
    const start = clock();
    const schedule = buildSchedule(costs, [{ tasks: [workload.name], microbatches, stages }], {
      policy: oneForwardOneBackward,
    });
    simulateWith(costs, schedule, { spans: false });
    const seconds = clock() - start;
    const instructions = schedule.programs.reduce((sum, program) => sum + program.instructions.length, 0);
    yield { what: 'simulate', devices, layers, tasks: 1, seconds, instructions };
  }
}

/** Tasks in waves of four, deeper ones training from higher layers. */
function taskSet(
  { devices, layers, tasks }: Pick<GrowthPoint, 'devices' | 'layers' | 'tasks'>,
  shared: boolean,
): { workloads: Workload[]; cluster: Cluster } {
  const waves = Math.ceil(tasks / 4);
  const made = Array.from({ length: tasks }, (_, task) => {
    const wave = Math.floor(task / 4);
    const { workload, cluster } = randomProblem(seededRandom(7), {
      devices,
      layers,
      samples: 64,
      memoryShare: devices > 32 ? 0.1 : 0.4,
      megabitsPerSecond: 1000,
      shared,
      lowest: Math.floor((wave * layers) / (waves + 1)),
    });
    const dependsOn = wave === 0 ? [] : [`task ${task - 4}`];
    return { workload: { ...workload, name: `task ${task}`, dependsOn }, cluster };
  });
  return { workloads: made.map(({ workload }) => workload), cluster: made[0]!.cluster };
}

/** With more devices no plan should be slower; NaN where the model does not fit on the fastest half. */
function secondsOfHalf(workloads: readonly Workload[], cluster: Cluster): number {
  const rate = ({ flopsPerSecond }: Cluster['devices'][number]) => flopsPerSecond as number;
  const devices = cluster.devices.toSorted((a, b) => rate(b) - rate(a));
  try {
    return plan(workloads, { ...cluster, devices: devices.slice(0, devices.length / 2) }).totalSeconds;
  } catch (error) {
    if (error instanceof SchedulerError && error.code === 'SCHEDULER_NOTHING_FITS') return NaN;
    throw error;
  }
}

export const describeGrowth = (points: readonly GrowthPoint[]): string =>
  formatTable(
    ['', 'devices', 'layers', 'tasks', 'instructions', 'seconds', 'makespan', 'fastest half'],
    points.map(({ what, devices, layers, tasks, seconds, instructions, shared, ...plan }) => [
      shared === undefined ? what : `${what}, ${shared ? 'air' : 'links'}`,
      `${devices}`,
      `${layers}`,
      `${tasks}`,
      instructions === undefined ? '' : `${instructions}`,
      seconds.toFixed(2),
      plan.totalSeconds?.toFixed(1) ?? '',
      plan.halfSeconds?.toFixed(1) ?? '',
    ]),
  );

/** Seconds over devices, on logarithmic axes; returns SVG. */
export async function plotGrowth(points: readonly GrowthPoint[]): Promise<string> {
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: 'Planning and simulation time', anchor: 'start' },
    width: 520,
    height: 320,
    background: 'white',
    data: {
      values: points.map((point) => ({
        ...point,
        series:
          point.what === 'plan'
            ? `plan, ${point.tasks} task${point.tasks === 1 ? '' : 's'}, ${point.shared ? 'air' : 'links'}`
            : 'simulate',
      })),
    },
    mark: { type: 'line', point: { size: 60, filled: true } },
    encoding: {
      x: { field: 'devices', type: 'quantitative', scale: { type: 'log' }, title: 'devices' },
      y: { field: 'seconds', type: 'quantitative', scale: { type: 'log' }, title: 'seconds' },
      color: { field: 'series', type: 'nominal', title: null },
      shape: { field: 'series', type: 'nominal', title: null },
    },
    config: { view: { stroke: null }, axis: { gridColor: '#eee' } },
  };
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
