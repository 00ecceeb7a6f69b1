/**
 * Adds the optimizer step of every task a stage trains, just before the task's next forward pass needs it, and the exchange of
 * gradients inside a group just after the step's last backward pass: other tasks' work hides it.
 */
import type { PassContext } from './pass.js';
import { gradientBytes, trains } from '../../cost/task-costs.js';
import type { Instruction } from '../schedule.js';
import { splitsWork } from '../placement.js';

export function addUpdates(
  programs: Instruction[][][],
  { costs, placement, placementIndex, sampleShares }: PassContext,
): Instruction[][][] {
  return programs.map((members, stage) => {
    const range = placement.stages[stage]!;
    const group = range.members;
    const trained = new Map(
      placement.tasks.map((name) => {
        const task = costs.taskNamed(name);
        return [name, trains(task, range) ? gradientBytes(task, range) : undefined];
      }),
    );
    // A device that splits layers holds its own part of each adapter and exchanges no gradient; one without samples has none.
    const contributors = new Map(
      placement.tasks.map((name, task) => [
        name,
        group.flatMap(({ device }, member) =>
          sampleShares[task]![stage]!.some((row) => row[member]! > 0) ? [device] : [],
        ),
      ]),
    );
    return members.map((program) => {
      // Index of each task's last backward pass, by step.
      const lastOf = new Map<string, number[]>(placement.tasks.map((name) => [name, []]));
      for (const [index, { type, task, step }] of program.entries())
        if (type === 'backwardWeight') lastOf.get(task)![step] = index;
      const waiting = new Map<string, Instruction>();
      const result: Instruction[] = [];
      const flush = (task: string) => {
        const update = waiting.get(task);
        if (!update) return;
        waiting.delete(task);
        result.push(update);
      };
      for (const [index, instruction] of program.entries()) {
        const { type, task, step } = instruction;
        if (type === 'load' || type === 'receiveActivation' || type === 'forward') flush(task);
        result.push(instruction);
        const bytes = trained.get(task);
        if (bytes === undefined || lastOf.get(task)![step] !== index) continue;
        const exchanging = contributors.get(task)!;
        if (!splitsWork(group) && exchanging.length > 1 && bytes > 0)
          result.push({
            type: 'collective',
            operation: 'allReduce',
            id: `gradients/${placementIndex}/${stage}/${task}/${step}`,
            members: exchanging,
            task,
            step,
            bytes,
            messages: 1,
            awaitedBy: 'update',
          });
        waiting.set(task, { type: 'update', task, step });
      }
      for (const task of [...waiting.keys()]) flush(task);
      return result;
    });
  });
}
