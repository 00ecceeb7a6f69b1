/** Fills the slots of an instruction: `{text}` and `{<id of a dependency>}`. */
import { TaskGraphError } from './task-graph-error.js';
import type { TaskSpec } from './task-spec.js';

const slot = /\{([A-Za-z][A-Za-z0-9_-]*)\}/g;

/** The names in braces, each once, in order. */
export function slotsOf(instruction: string): string[] {
  return [...new Set([...instruction.matchAll(slot)].map(([, name = '']) => name))];
}

/**
 * The prompt of a task for one input.
 *
 * @throws TaskGraphError (`TASK_GRAPH_ANSWER_MISSING`) when an answer that the instruction has a slot for is not given.
 */
export function renderInstruction(
  task: Pick<TaskSpec, 'id' | 'instruction'>,
  { text = '', answers = {} }: { text?: string; answers?: Readonly<Record<string, string>> },
): string {
  // One pass: braces in an answer are text, not slots.
  const filled = task.instruction.replace(slot, (_, name: string) => {
    if (name === 'text') return text;
    const answer = Object.hasOwn(answers, name) ? answers[name] : undefined;
    if (answer === undefined)
      throw new TaskGraphError(
        'TASK_GRAPH_ANSWER_MISSING',
        'renderInstruction',
        `the instruction of "${task.id}" asks for the answer of "${name}", which was not given`,
      );
    return answer;
  });
  return filled.trim();
}
