/**
 * JORA (ACL 2024 demo, jora/common.py): tensor parallelism over a ring of equal devices. Attention heads and FFN columns are split, so
 * every layer all-reduces its output twice forward and twice backward; LoRA adds no communication. Where no input gradient is owed the
 * two backward all-reduces go. Devices work in lockstep, so the slowest sets the pace.
 */
import type { Pass } from '../schedule/passes/pass.js';
import type { Instruction } from '../schedule/schedule.js';
import { oneForwardOneBackward } from '../schedule/policies/one-forward-one-backward.js';
import { deviceGroups } from './splits.js';
import type { Strategy } from './strategy.js';

const reduceOutputs: Pass = (programs, { costs, placement }) => {
  const members = placement.stages.flatMap((stage) => stage.members.map(({ device }) => device));
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
        const id = `outputs/${type}/${task}/${step}/${microbatch}`;
        const what = { type: 'collective', operation: 'allReduce', id, members } as const;
        return [instruction, { ...what, task, step, bytes, messages, awaitedBy: 'next' }];
      }),
    ),
  );
};

export const jora: Strategy = {
  name: 'JORA tensor parallelism',
  source: 'JORA jora/common.py and jora/lib/model/attention.py; Megatron-like volumes',
  interleavesTasks: false,
  splitsLayers: true,
  passes: [reduceOutputs],
  *candidates(problem) {
    const { costs, tasks } = problem;
    for (const { group, microbatches } of deviceGroups(problem)) {
      const fraction = 1 / group.length;
      const part = { share: 1, work: fraction, parameters: fraction, optimizer: fraction };
      const members = group.map((device) => ({ device: costs.devices[device]!.id, ...part }));
      yield {
        placement: { tasks, microbatches, stages: [{ start: 0, end: costs.layerCount, members }] },
        policies: [oneForwardOneBackward],
      };
    }
  },
};
