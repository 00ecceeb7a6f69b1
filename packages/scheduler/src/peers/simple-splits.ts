/** Single device, equal split, memory-weighted (exo) and compute-weighted pipelines: what one does without a planner. */
import { oneForwardOneBackward } from '../schedule/policies/one-forward-one-backward.js';
import { deviceWork } from '../search/device-work.js';
import type { IntervalProblem } from '../search/interval-problem.js';
import { countsUpTo, deviceOrders, pipelineOf, uniformCuts, weightedCuts } from './splits.js';
import type { Strategy, StrategyCandidate } from './strategy.js';

export const singleDevice: Strategy = {
  name: 'single device',
  source: 'the device on which it is fastest',
  interleavesTasks: false,
  *candidates(problem) {
    for (const device of problem.costs.devices.keys())
      for (const microbatches of problem.microbatches)
        yield {
          placement: pipelineOf(problem, [problem.costs.layerCount], [[device]], microbatches),
          policies: [oneForwardOneBackward],
        };
  },
};

const weighted = (
  name: string,
  source: string,
  cutsOf: (problem: IntervalProblem, order: readonly number[]) => number[] | undefined,
): Strategy => ({
  name,
  source,
  interleavesTasks: false,
  *candidates(problem): Generator<StrategyCandidate> {
    for (const order of deviceOrders(problem))
      for (const count of countsUpTo(Math.min(order.length, problem.costs.layerCount))) {
        const used = order.slice(0, count);
        const cuts = cutsOf(problem, used);
        if (!cuts) continue;
        for (const microbatches of problem.microbatches)
          yield {
            placement: pipelineOf(
              problem,
              cuts,
              used.map((device) => [device]),
              microbatches,
            ),
            policies: [oneForwardOneBackward],
          };
      }
  },
});

export const equalSplit = weighted(
  'equal split',
  'the same number of layers everywhere, 1F1B',
  (problem, used) => uniformCuts(problem.costs.layerCount, used.length),
);

export const memoryWeighted = weighted(
  'memory-weighted (exo)',
  'exo, topology/ring_memory_weighted_partitioning_strategy.py: layers in proportion to memory; here with 1F1B',
  ({ costs }, used) =>
    weightedCuts(
      costs.layerCount,
      used.map((device) => costs.devices[device]!.memoryBytes),
    ),
);

export const computeWeighted = weighted(
  'compute-weighted',
  'layers in proportion to FLOP/s, 1F1B',
  (problem, used) => {
    const { average } = deviceWork(problem);
    return weightedCuts(
      problem.costs.layerCount,
      used.map((device) => average[device]!),
    );
  },
);
