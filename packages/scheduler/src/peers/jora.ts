/**
 * JORA (ACL 2024 demo, jora/common.py): tensor parallelism over a ring of equal devices. Attention heads and FFN columns are split, so
 * every layer all-reduces its output twice forward and twice backward; LoRA adds no communication. Where no input gradient is owed the
 * two backward all-reduces go. Devices work in lockstep, so the slowest sets the pace.
 */
import type { Pass } from '../schedule/pass.js';
import type { CollectiveInstruction, Instruction } from '../schedule/instruction.js';
import { oneForwardOneBackward } from '../schedule/policies/one-forward-one-backward.js';
import { countsUpTo, deviceOrders } from './splits.js';
import type { Strategy } from './strategy.js';

export const jora: Strategy = {
  name: 'JORA tensor parallelism',
  source: 'JORA jora/common.py and jora/lib/model/attention.py; Megatron-like volumes',
  interleavesTasks: false,
  passes: [reduceOutputs],
  *candidates(problem) {
    const { costs, tasks } = problem;
    for (const order of deviceOrders(problem))
      for (const count of countsUpTo(order.length).filter((size) => size > 1))
        for (const microbatches of problem.microbatches) {
          const fraction = 1 / count;
          const members = order.slice(0, count).map((device) => ({
            device: costs.devices[device]!.id,
            share: 1,
            work: fraction,
            parameters: fraction,
            optimizer: fraction,
          }));
          yield {
            placement: { tasks, microbatches, stages: [{ start: 0, end: costs.layerCount, members }] },
            policies: [oneForwardOneBackward],
          };
        }
  },
};

function reduceOutputs(
  programs: Instruction[][][],
  { costs, placement }: Parameters<Pass>[1],
): Instruction[][][] {
  const members = placement.stages[0]!.members.map(({ device }) => device);
  return programs.map((stage) =>
    stage.map((program) =>
      program.flatMap((instruction): Instruction[] => {
        if (instruction.type !== 'forward' && instruction.type !== 'backwardInput') return [instruction];
        const { type, task, step, microbatch, samples } = instruction;
        const { sums } = costs.taskNamed(task);
        const flops = type === 'forward' ? sums.forwardFlops : sums.inputFlops;
        let bytes = 0;
        let messages = 0;
        for (let layer = 0; layer < costs.layerCount; layer++) {
          // Where no input gradient is owed, there is none to reduce.
          if (!(flops[layer + 1]! > flops[layer]!)) continue;
          bytes += 2 * sums.outputBytes[layer]! * samples;
          messages += 2;
        }
        const reduce: CollectiveInstruction = {
          type: 'collective',
          operation: 'allReduce',
          id: `outputs/${type}/${task}/${step}/${microbatch}`,
          members,
          task,
          step,
          bytes,
          messages,
          awaitedBy: 'next',
        };
        return [instruction, reduce];
      }),
    ),
  );
}
