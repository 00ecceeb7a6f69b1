/** Pipelines without ContextGear's planner: one device, exo's split, and the engines of DeepSpeed, GPipe and mLoRA. */
import { gpipe } from '../schedule/policies/gpipe.js';
import { lorapp } from '../schedule/policies/lorapp.js';
import { oneForwardOneBackward } from '../schedule/policies/one-forward-one-backward.js';
import type { Policy } from '../schedule/policies/policy.js';
import { limits } from '../search/effort.js';
import { type IntervalProblem, placementOn } from '../search/interval-problem.js';
import { balancesByHand, balancesNear } from './balances-by-hand.js';
import {
  balancedCuts,
  countsUpTo,
  deviceOrders,
  layerFlops,
  pipelineOf,
  trainedBytes,
  uniformCuts,
  weightedCuts,
} from './splits.js';
import type { Strategy } from './strategy.js';

/** Where stages end, on so many of the devices in this order; undefined where there are too few layers. */
type CutsOf = (problem: IntervalProblem, stages: number, order: readonly number[]) => number[] | undefined;

interface PipelineOptions {
  readonly policy?: Policy;
  /** Equal replicas of each stage at most. */
  readonly replicas?: number;
  readonly interleavesTasks?: boolean;
  /** Whether the user may say how many layers each stage gets. */
  readonly byHand?: boolean;
}

/** Every grid of p stages × d replicas on the first p · d devices of each order that a user would try. */
const pipeline = (
  name: string,
  source: string,
  cuttings: readonly CutsOf[],
  {
    policy = oneForwardOneBackward,
    replicas: most = 1,
    interleavesTasks = false,
    byHand = false,
  }: PipelineOptions = {},
): Strategy => ({
  name,
  source,
  interleavesTasks,
  ...(byHand ? { near: balancesNear } : {}),
  *candidates(problem, thorough = false) {
    const { costs, microbatches: divisions } = problem;
    if (byHand)
      for (const placement of balancesByHand(problem, { thorough, replicas: most }))
        yield { placement, policies: [policy] };
    if (cuttings.length === 0) return;
    for (const order of deviceOrders(problem))
      for (let replicas = 1; replicas <= Math.min(most, order.length); replicas++)
        for (const stages of countsUpTo(Math.min(Math.floor(order.length / replicas), costs.layerCount)))
          for (const cutsOf of cuttings) {
            const cuts = cutsOf(problem, stages, order);
            if (!cuts) continue;
            // Replicas of a stage follow each other in the order, so that similar devices share a stage.
            const groups = cuts.map((_, stage) => order.slice(stage * replicas, (stage + 1) * replicas));
            for (const microbatches of divisions)
              yield { placement: pipelineOf(problem, cuts, groups, microbatches), policies: [policy] };
          }
  },
});

const uniform: CutsOf = ({ costs }, stages) => uniformCuts(costs.layerCount, stages);
const balanced: CutsOf = (problem, stages) => balancedCuts(layerFlops(problem), stages);

export const singleDevice: Strategy = {
  name: 'single device',
  source: 'the device on which it is fastest',
  interleavesTasks: false,
  *candidates(problem) {
    for (const { id } of problem.costs.devices)
      for (const microbatches of problem.microbatches)
        yield { placement: placementOn(problem, id, microbatches), policies: [oneForwardOneBackward] };
  },
};

export const memoryWeighted = pipeline(
  'memory-weighted (exo)',
  'exo, topology/ring_memory_weighted_partitioning_strategy.py: layers in proportion to memory; here with 1F1B',
  [
    ({ costs }, stages, order) => {
      const memory = order.slice(0, stages).map((device) => costs.devices[device]!.memoryBytes);
      return weightedCuts(costs.layerCount, memory);
    },
  ],
);

export const deepSpeedPipelineUniform = pipeline(
  'DeepSpeed pipeline, uniform',
  'DeepSpeed runtime/pipe/{schedule,module}.py: 1F1B, equal numbers of layers, equal replicas',
  [uniform],
  { replicas: limits.peerReplicas },
);

export const deepSpeedPipelineParameters = pipeline(
  'DeepSpeed pipeline, parameters',
  'DeepSpeed runtime/pipe/module.py: balances parameters that have gradients, with LoRA the adapters alone',
  [(problem, stages) => balancedCuts(trainedBytes(problem), stages)],
  { replicas: limits.peerReplicas },
);

export const deepSpeedPipelineByHand = pipeline(
  'DeepSpeed pipeline, balance by hand',
  'DeepSpeed runtime/pipe/module.py: the user may group layers into as many modules as there are stages',
  [],
  { replicas: limits.peerReplicas, byHand: true },
);

export const gpipePipeline = pipeline(
  'GPipe',
  'Huang et al. 2019; torchgpipe takes a balance or balances the profiled times of equal devices',
  [balanced],
  { policy: gpipe, byHand: true },
);

export const mLora = pipeline(
  'mLoRA LoRAPP',
  'mLoRA, VLDB 2025, section 4: sibling adapters fill bubbles; the balance is given by hand',
  [uniform, balanced],
  { policy: lorapp, interleavesTasks: true, byHand: true },
);
