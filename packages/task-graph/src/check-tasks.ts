/** Checks between the fields of a task file, which no schema of single fields can make: ids, dependencies, cycles, labels, slots. */
import { checkLabels } from './check-labels.js';
import { findCycle } from './find-cycle.js';
import { nearestSpelling } from './nearest-spelling.js';
import { quoteText } from './quote-text.js';
import { slotsOf } from './render-instruction.js';
import type { TaskSpec } from './task-spec.js';

/** A problem at a path of keys and indices. */
export interface Located {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** The fields of a task that the checks need; inputs and answer are absent where the file failed its schema. */
export type CheckedTask = Pick<TaskSpec, 'id' | 'dependsOn' | 'instruction'> &
  Partial<Pick<TaskSpec, 'inputs' | 'answer'>>;

/** What is wrong with the JSON schema of an answer, one message per problem. */
export type SchemaProblems = (schema: unknown) => readonly string[];

/** Yields the problems one by one, so that a caller can stop early. */
export function* checkTasks(
  tasks: readonly CheckedTask[],
  { schemaProblems = () => [] }: { schemaProblems?: SchemaProblems } = {},
): Generator<Located> {
  const ids = tasks.map(({ id }) => id);
  const defined = new Set(ids);
  const earlier = new Map<string, string>();
  for (const [index, task] of tasks.entries()) {
    const same = earlier.get(task.id.toLowerCase());
    if (same !== undefined)
      yield {
        path: ['tasks', index, 'id'],
        message:
          same === task.id
            ? `task "${task.id}" is defined twice`
            : `the ids "${same}" and "${task.id}" differ only in upper and lower case, and many disks would keep both tasks in one folder; rename one`,
      };
    else earlier.set(task.id.toLowerCase(), task.id);
    for (const { path, message } of checkTask(task, ids, defined))
      yield { path: ['tasks', index, ...path], message };
    if (task.answer?.type === 'json')
      for (const problem of schemaProblems(task.answer.schema))
        yield { path: ['tasks', index, 'answer', 'schema'], message: `the answer's schema: ${problem}` };
  }
  const cycle = findCycle(
    tasks.map(({ id, dependsOn }) => ({ id, dependsOn: dependsOn.filter((parent) => parent !== id) })),
  );
  if (cycle)
    yield {
      path: ['tasks', ids.indexOf(cycle[0] ?? ''), 'dependsOn'],
      message: `the dependencies form a cycle: ${cycle.map((id) => `"${id}"`).join(' → ')}; remove one of them`,
    };
}

function* checkTask(
  { id, dependsOn, instruction, inputs, answer }: CheckedTask,
  ids: readonly string[],
  defined: ReadonlySet<string>,
): Generator<Located> {
  const parents = new Set<string>();
  for (const [i, parent] of dependsOn.entries()) {
    const path = ['dependsOn', i];
    if (parent === id) yield { path, message: `task "${id}" depends on itself` };
    else if (!defined.has(parent))
      yield {
        path,
        message: `task "${id}" depends on ${quoteText(parent)}, which is not defined${didYouMean(parent, ids)}`,
      };
    else if (parents.has(parent))
      yield { path, message: `task "${id}" lists its dependency "${parent}" twice` };
    parents.add(parent);
  }
  if (answer?.type === 'label')
    for (const { index, message } of checkLabels(id, answer.labels))
      yield { path: ['answer', 'labels', index], message };
  const slots = slotsOf(instruction);
  if (slots.includes('text') && inputs && !inputs.includes('text'))
    yield {
      path: ['inputs'],
      message: `the instruction of "${id}" has a slot {text}, but "text" is not among its inputs; add it, or remove the slot`,
    };
  for (const slot of slots)
    if (slot !== 'text' && !parents.has(slot))
      yield {
        path: ['instruction'],
        message:
          `the instruction of "${id}" has a slot {${slot}}, but "${id}" does not depend on "${slot}"` +
          (defined.has(slot) ? '; add it to dependsOn' : didYouMean(slot, ['text', ...dependsOn])),
      };
}

/** The end of a message: the candidate that a misspelt word most likely means, if there is one. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const nearest = nearestSpelling(word, candidates);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}
