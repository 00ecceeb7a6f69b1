/**
 * Adds loading, sends and receives. Members of a stage take contiguous samples of each micro-batch in their order, so two members of
 * neighbouring stages exchange the samples they have in common. A gradient crosses a boundary only if something trains at or below it.
 */
import type { PassContext } from './pass.js';
import { gradientCrosses, trains } from '../../cost/task-costs.js';
import type { Instruction } from '../schedule.js';
import { type Partner, partnersOf } from '../sample-shares.js';

export function addTransfers(
  programs: Instruction[][][],
  { costs, placement, sampleShares, fusedBackward }: PassContext,
): Instruction[][][] {
  const { stages, tasks } = placement;
  const gradientAfter = tasks.map((name) => {
    const task = costs.taskNamed(name);
    return stages.map(({ start, end }) => {
      if (!gradientCrosses(task, start)) return undefined;
      return fusedBackward && trains(task, { start, end }) ? 'backwardWeight' : 'backwardInput';
    });
  });
  const taskIndices = new Map(tasks.map((name, index) => [name, index]));
  const crosses = (task: number, stage: number) => gradientAfter[task]![stage] !== undefined;
  return programs.map((members, stage) =>
    members.map((program, member) => {
      // Every step repeats the same micro-batches.
      const memo = new Map<number, Partner[]>();
      const partners = (task: number, microbatch: number, other: number) => {
        const key = (task * placement.microbatches + microbatch) * stages.length + other;
        let found = memo.get(key);
        if (!found)
          memo.set(key, (found = partnersOf(sampleShares, task, microbatch, { stage, member, other })));
        return found;
      };
      const result: Instruction[] = [];
      for (const instruction of program) {
        if (
          instruction.type !== 'forward' &&
          instruction.type !== 'backwardInput' &&
          instruction.type !== 'backwardWeight'
        )
          continue;
        const { type, step, microbatch } = instruction;
        const task = taskIndices.get(instruction.task)!;
        const exchange = (
          kind: 'sendActivation' | 'receiveActivation' | 'sendGradient' | 'receiveGradient',
          other: number,
        ) => {
          for (const partner of partners(task, microbatch, other)) {
            const { device: peer } = stages[other]!.members[partner.member]!;
            const { samples } = partner;
            result.push({ type: kind, task: instruction.task, step, microbatch, samples, peer });
          }
        };
        if (type === 'forward') {
          if (stage > 0) exchange('receiveActivation', stage - 1);
          else {
            const { samples } = instruction;
            result.push({ type: 'load', task: instruction.task, step, microbatch, samples });
          }
          result.push(instruction);
          if (stage + 1 < stages.length) exchange('sendActivation', stage + 1);
        } else {
          if (type === 'backwardInput' && stage + 1 < stages.length) exchange('receiveGradient', stage + 1);
          result.push(instruction);
          if (crosses(task, stage) && type === gradientAfter[task]![stage])
            exchange('sendGradient', stage - 1);
        }
      }
      return result;
    }),
  );
}
