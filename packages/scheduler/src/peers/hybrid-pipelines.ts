/** Pipelines of groups for edge devices: data parallel by capability inside a group, planned by a dynamic programme. */
import type { Policy } from '../schedule/policies/policy.js';
import {
  oneForwardOneBackward,
  oneForwardOneBackwardDeep,
} from '../schedule/policies/one-forward-one-backward.js';
import { devicesBy, deviceWork } from '../search/device-work.js';
import { effortFor } from '../search/effort.js';
import type { IntervalProblem } from '../search/interval-problem.js';
import { hybridPlacements } from './hybrid-placements.js';
import { singleDevice } from './pipelines.js';
import type { Strategy } from './strategy.js';

interface HybridRules {
  /** What the devices are sorted by. */
  readonly key: (problem: IntervalProblem) => (device: number) => number;
  readonly policy: Policy;
  readonly inFlight: (distance: number) => number;
}

const hybrid = (name: string, source: string, { key, policy, inFlight }: HybridRules): Strategy => ({
  name,
  source,
  interleavesTasks: false,
  *candidates(problem) {
    const order = devicesBy(problem.costs, key(problem));
    const { asteroidDivisions, asteroidGroup, asteroidStages } = effortFor(order.length);
    // The programme divides samples as if they had no size, so a group may turn out worse than one of its devices.
    yield* singleDevice.candidates(problem);
    for (const microbatches of problem.microbatches.slice(-asteroidDivisions))
      for (const placement of hybridPlacements(problem, order, {
        microbatches,
        groupLimit: Math.min(asteroidGroup, problem.groupLimit),
        stageLimit: asteroidStages,
        inFlight: (distance) => Math.min(microbatches, inFlight(distance)),
      }))
        yield { placement, policies: [policy] };
  },
});

export const asteroid = hybrid(
  'Asteroid-like planner',
  'MobiCom 2024, arXiv 2408.08015: devices by memory, 2 (P − p) − 1 micro-batches in flight',
  {
    key:
      ({ costs }) =>
      (device) =>
        costs.devices[device]!.memoryBytes,
    policy: oneForwardOneBackwardDeep,
    inFlight: (distance) => 2 * distance + 1,
  },
);

/** PAC's parallelism; its activation cache is the frozen prefix's, which every peer is given in a comparison with a cache. */
export const pac = hybrid(
  'PAC',
  'ICPP 2024, arXiv 2408.10746: hybrid data and pipeline parallelism with 1F1B; an activation cache of the frozen backbone',
  {
    key: (problem) => {
      const { average } = deviceWork(problem);
      return (device) => average[device]!;
    },
    policy: oneForwardOneBackward,
    inFlight: (distance) => distance + 1,
  },
);
