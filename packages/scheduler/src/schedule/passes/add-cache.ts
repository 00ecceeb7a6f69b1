/**
 * Writes a frozen prefix's outputs to the activation cache in the first epoch and reads them in later ones, on the stage that holds the
 * lowest trained layer.
 */
import type { Pass } from './pass.js';
import { ownValue } from '../../problem/names.js';
import type { Instruction } from '../schedule.js';

export const addCache =
  (modes: Readonly<Record<string, 'write' | 'read'>>): Pass =>
  (programs, { costs, placement }) =>
    programs.map((members, stage) => {
      const { start, end } = placement.stages[stage]!;
      const holds = (name: string) => {
        const { lowestTrained } = costs.taskNamed(name);
        return lowestTrained > 0 && lowestTrained >= start && lowestTrained < end;
      };
      return members.map((program) =>
        program.flatMap((instruction): Instruction[] => {
          const mode = ownValue(modes, instruction.task);
          if (instruction.type !== 'forward' || mode === undefined || !holds(instruction.task))
            return [instruction];
          return mode === 'read'
            ? [{ ...instruction, type: 'cacheRead' }, instruction]
            : [instruction, { ...instruction, type: 'cacheWrite' }];
        }),
      );
    });
