/**
 * DeepSpeed ZeRO data parallelism with LoRA: equal shares of every micro-batch.
 *
 *   stage 1, 2   every device holds the whole base; a step exchanges the adapters' gradients (2 Ψ_lora)
 *   stage 3      the base is sharded too and gathered for every forward and backward pass: 2 Ψ_base per micro-batch, once where no
 *                backward pass follows; gathers are assumed to overlap computing perfectly, which favours it
 */
import type { Pass } from '../schedule/pass.js';
import { layerStates, stateBytes } from '../cost/memory.js';
import { hasBackward } from '../cost/task-costs.js';
import type { CollectiveInstruction, Instruction } from '../schedule/instruction.js';
import type { Placement } from '../schedule/placement.js';
import { oneForwardOneBackward } from '../schedule/policies/one-forward-one-backward.js';
import type { IntervalProblem } from '../search/interval-problem.js';
import { countsUpTo, deviceOrders, pipelineOf } from './splits.js';
import type { Strategy } from './strategy.js';

const zero = (
  stage: 1 | 2 | 3,
  source: string,
  shard: (placement: Placement, problem: IntervalProblem) => Placement,
  passes: readonly Pass[],
): Strategy => ({
  name: `DeepSpeed ZeRO-${stage}`,
  source,
  interleavesTasks: false,
  passes,
  *candidates(problem) {
    const { layerCount } = problem.costs;
    for (const order of deviceOrders(problem))
      for (const count of countsUpTo(order.length).filter((size) => size > 1))
        for (const microbatches of problem.microbatches) {
          // Every rank has the same number of micro-batches, none of them empty.
          if (problem.tasks.some((name) => problem.costs.samplesOf(name) < count * microbatches)) continue;
          const placement = pipelineOf(problem, [layerCount], [order.slice(0, count)], microbatches);
          yield { placement: shard(placement, problem), policies: [oneForwardOneBackward] };
        }
  },
});

const withMembers = (
  placement: Placement,
  fractions: (count: number) => { parameters?: number; optimizer?: number },
): Placement => ({
  ...placement,
  stages: placement.stages.map((stage) => ({
    ...stage,
    members: stage.members.map((member) => ({ ...member, ...fractions(stage.members.length) })),
  })),
});

export const zero1 = zero(
  1,
  'DeepSpeed docs/_posts/2020-03-17-reduce-scatter.md: optimizer states sharded, volume of data parallelism',
  (placement) => withMembers(placement, (count) => ({ optimizer: 1 / count })),
  [],
);

export const zero2 = zero(
  2,
  'as ZeRO-1 with gradients sharded, same volume',
  (placement) => withMembers(placement, (count) => ({ optimizer: 1 / count })),
  [],
);

export const zero3 = zero(
  3,
  'DeepSpeed docs/_posts/2021-03-08-zero3-offload.md: parameters sharded, all-gather forward and backward',
  (placement, problem) => {
    // Two gathered layers are resident at a time: the one that computes and the one that is fetched.
    const { tasks, layerCount } = problem.costs;
    const only = tasks.slice(0, 1);
    const total = stateBytes(only, { start: 0, end: layerCount }).parameterBytes;
    const layers = layerStates(only, layerCount).map(({ parameterBytes }) => parameterBytes);
    const largest = Math.max(0, ...layers);
    return withMembers(placement, (count) => ({
      optimizer: 1 / count,
      parameters: total > 0 ? Math.min(1, 1 / count + (2 * largest) / total) : 1,
    }));
  },
  [gatherParameters],
);

function gatherParameters(
  programs: Instruction[][][],
  { costs, placement }: Parameters<Pass>[1],
): Instruction[][][] {
  const members = placement.stages[0]!.members.map(({ device }) => device);
  return programs.map((stage) =>
    stage.map((program) => {
      const passes = new Map<string, number>();
      return program.flatMap((instruction): Instruction[] => {
        const { type, task, step } = instruction;
        if (type !== 'forward' && type !== 'backwardInput') return [instruction];
        const costsOfTask = costs.taskNamed(task);
        const { lowestTrained } = costsOfTask;
        const from = type === 'forward' ? 0 : lowestTrained;
        if (type === 'backwardInput' && !hasBackward(costsOfTask, costs.layerCount)) return [instruction];
        const count = passes.get(`${type} ${task}`) ?? 0;
        passes.set(`${type} ${task}`, count + 1);
        const gather: CollectiveInstruction = {
          type: 'collective',
          operation: 'allGather',
          id: `parameters/${type}/${task}/${count}`,
          members,
          task,
          step,
          bytes: stateBytes([costsOfTask], { start: from, end: costs.layerCount }).parameterBytes,
          messages: costs.layerCount - from,
          awaitedBy: 'end',
        };
        return [gather, instruction];
      });
    }),
  );
}
