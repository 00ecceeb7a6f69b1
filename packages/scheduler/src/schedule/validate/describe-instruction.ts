/** An instruction in words, as messages name it. */
import type { Instruction } from '../instruction.js';

export function describeInstruction(instruction: Instruction): string {
  const { type, task, step } = instruction;
  if (type === 'collective') return `${type} ${instruction.id}`;
  if (!('microbatch' in instruction)) return `${type} of ${task} ${step}`;
  const peer = 'peer' in instruction ? ` with "${instruction.peer}"` : '';
  return `${type} of ${task} ${step}/${instruction.microbatch}${peer}`;
}
