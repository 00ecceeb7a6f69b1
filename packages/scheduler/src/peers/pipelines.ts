/** Pipelines of equal ranks: DeepSpeed's engine, GPipe, and mLoRA's LoRAPP. */
import { gpipe } from '../schedule/policies/gpipe.js';
import { lorapp } from '../schedule/policies/lorapp.js';
import { oneForwardOneBackward } from '../schedule/policies/one-forward-one-backward.js';
import type { Policy } from '../schedule/policies/policy.js';
import type { IntervalProblem } from '../search/interval-problem.js';
import {
  balancedCuts,
  countsUpTo,
  deviceOrders,
  layerFlops,
  pipelineOf,
  trainedBytes,
  uniformCuts,
} from './splits.js';
import type { Strategy, StrategyCandidate } from './strategy.js';

/** Every grid of p stages × d replicas on the first p · d devices of each order that a user would try. */
function* grids(
  problem: IntervalProblem,
  policies: readonly Policy[],
  cutsOf: (stages: number) => (number[] | undefined)[],
  replicasMost: number,
): Generator<StrategyCandidate> {
  for (const order of deviceOrders(problem))
    for (let replicas = 1; replicas <= Math.min(replicasMost, order.length); replicas++)
      for (const stages of countsUpTo(
        Math.min(Math.floor(order.length / replicas), problem.costs.layerCount),
      ))
        for (const cuts of cutsOf(stages)) {
          if (!cuts) continue;
          // Replicas of a stage follow each other in the order, so that similar devices share a stage.
          const groups = cuts.map((_, stage) => order.slice(stage * replicas, (stage + 1) * replicas));
          for (const microbatches of problem.microbatches)
            yield { placement: pipelineOf(problem, cuts, groups, microbatches), policies };
        }
}

/** More replicas than this are data parallelism, which `zero` covers. */
const replicasMost = 4;

export const deepSpeedPipelineUniform: Strategy = {
  name: 'DeepSpeed pipeline, uniform',
  source: 'DeepSpeed runtime/pipe/{schedule,module}.py: 1F1B, equal numbers of layers, equal replicas',
  interleavesTasks: false,
  candidates: (problem) =>
    grids(
      problem,
      [oneForwardOneBackward],
      (stages) => [uniformCuts(problem.costs.layerCount, stages)],
      replicasMost,
    ),
};

export const deepSpeedPipelineParameters: Strategy = {
  name: 'DeepSpeed pipeline, parameters',
  source:
    'DeepSpeed runtime/pipe/module.py: balances parameters that have gradients, with LoRA the adapters alone',
  interleavesTasks: false,
  candidates: (problem) =>
    grids(
      problem,
      [oneForwardOneBackward],
      (stages) => [balancedCuts(trainedBytes(problem), stages)],
      replicasMost,
    ),
};

export const gpipePipeline: Strategy = {
  name: 'GPipe',
  source: 'Huang et al. 2019; torchgpipe balances the profiled times of equal devices',
  interleavesTasks: false,
  candidates: (problem) =>
    grids(problem, [gpipe], (stages) => [balancedCuts(layerFlops(problem), stages)], 1),
};

export const mLora: Strategy = {
  name: 'mLoRA LoRAPP',
  source:
    'mLoRA, VLDB 2025, section 4: sibling adapters fill bubbles; the balance is given by hand, here the better of two',
  interleavesTasks: true,
  candidates: (problem) =>
    grids(
      problem,
      [lorapp],
      (stages) => [uniformCuts(problem.costs.layerCount, stages), balancedCuts(layerFlops(problem), stages)],
      1,
    ),
};
