/**
 * An Asteroid-like hybrid planner (MobiCom 2024): devices sorted by memory, grouped into stages, data parallel by capability inside a
 * group, 2 (P − p) − 1 micro-batches in flight, a dynamic programme over layers, devices and stages for the slowest stage.
 */
import { oneForwardOneBackwardDeep } from '../schedule/policies/one-forward-one-backward.js';
import { bottleneckPlacements } from '../search/bottleneck-search.js';
import { devicesBy, deviceWork } from '../search/device-work.js';
import { effortFor } from '../search/effort.js';
import type { Strategy } from './strategy.js';

export const asteroid: Strategy = {
  name: 'Asteroid-like planner',
  source: 'arXiv 2408.08015 as re-implemented by a third party (facts of its planner, not its code)',
  interleavesTasks: false,
  *candidates(problem) {
    const { costs, microbatches: divisions, groupLimit } = problem;
    const order = devicesBy(costs, (device) => costs.devices[device]!.memoryBytes);
    const { asteroidDivisions, asteroidGroup, asteroidStages } = effortFor(order.length);
    for (const microbatches of divisions.slice(-asteroidDivisions))
      for (const placement of bottleneckPlacements(problem, deviceWork(problem), order, {
        microbatches,
        groupLimit: Math.min(asteroidGroup, groupLimit),
        stageLimit: Math.min(asteroidStages, order.length),
        inFlight: (distance) => Math.min(microbatches, 2 * distance + 1),
        firstCut: 1,
      }))
        yield { placement, policies: [oneForwardOneBackwardDeep] };
  },
};
