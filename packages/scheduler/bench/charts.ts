/** Gantt charts of 1F1B, mLoRA and ContextGear on the same three boards: two siblings, one of them with a frozen lower half. */
import {
  buildSchedule,
  contextGear,
  openCostModel,
  plan,
  scheduleOf,
  type IntervalProblem,
  type Schedule,
  simulate,
  type Timeline,
  type Workload,
} from '@contextlora/scheduler';
import { drawGanttSvg, drawGanttText, stepChart } from '@contextlora/scheduler/views';
import { deepSpeedPipelineUniform, mLora, type Strategy, tuneStrategy } from '@contextlora/scheduler/peers';

import { threeBoards } from './jetson-cluster.js';
import { layerCosts, modelShapes } from './model-shapes.js';
import { trainingSettings } from './twelve-tasks.js';

export interface Chart {
  readonly name: string;
  readonly svg: string;
  readonly text: string;
  /** Of one step of both tasks. */
  readonly stepSeconds: number;
}

export function drawCharts(): Chart[] {
  const cluster = threeBoards(1000);
  const shape = modelShapes[1]!;
  const workload = (name: string, from: number): Workload => ({
    name,
    samples: 8,
    steps: 100,
    layers: layerCosts(shape, { from, rank: 8, activeRanks: 16, allRanks: 96 }, trainingSettings.tokens),
  });
  const workloads = [workload('traffic', 0), workload('incident', shape.layers / 2)];
  const problem = (tasks: readonly Workload[]): IntervalProblem => ({
    costs: openCostModel(tasks, cluster),
    tasks: tasks.map(({ name }) => name),
    steps: 100,
    cache: {},
    cacheBytes: {},
    objective: 'time',
    microbatches: [4, 8],
    window: 2,
    groupLimit: 1,
    policies: [contextGear],
  });
  // All three boards, so that the charts compare orders and not numbers of devices.
  const onAllBoards = (strategy: Strategy): Strategy => ({
    ...strategy,
    *candidates(asked) {
      for (const candidate of strategy.candidates(asked))
        if (candidate.placement.stages.length === 3) yield candidate;
    },
  });
  const draw = (name: string, strategy: Strategy): Chart => {
    const best = tuneStrategy(onAllBoards(strategy), problem(workloads))!;
    const schedule = buildSchedule(openCostModel(workloads, cluster), [best.placement], {
      policy: best.policy,
    });
    return chartOf(name, simulate(schedule, workloads, cluster), schedule, best.stepSeconds);
  };
  const planned = plan(workloads, cluster, { groupLimit: 1, microbatches: [4, 8] });
  const laidOut = scheduleOf(planned, workloads, cluster);
  const timeline = simulate(laidOut.schedule, laidOut.workloads, cluster);
  return [
    draw('1F1B', deepSpeedPipelineUniform),
    draw('mLoRA', mLora),
    chartOf('ContextGear', timeline, laidOut.schedule, planned.jobs[0]!.intervals[0]!.stepSeconds),
  ];
}

function chartOf(name: string, timeline: Timeline, schedule: Schedule, stepSeconds: number): Chart {
  const chart = {
    ...stepChart(timeline, schedule),
    title: `${name}: one step of two sibling tasks (simulated)`,
  };
  return { name, svg: drawGanttSvg(chart), text: drawGanttText(chart), stepSeconds };
}
