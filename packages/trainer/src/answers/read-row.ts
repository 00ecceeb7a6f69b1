/** One row of a data file: from its keys and values to a row, or everything that is wrong with it. */
import { nearestSpelling, quoteText, slotsOf, type TaskSpec } from '@contextlora/task-graph';

import { brokenText, isBroken, kindOf, readAnswer, type WriteJsonAnswer } from './read-answer.js';
import { type Describe, plainRow, rowKeys } from './row-forms.js';
import { answerSlots, type TaskRow } from './task-rows.js';

export interface RowRules {
  /** All tasks of the file; with them parents' answers are checked, and so is what parents need to be asked. */
  readonly tasks?: readonly TaskSpec[];
  /** What the rows are for: `train` on gold answers of parents, or `answer`, where parents are asked first. @default 'train' */
  readonly purpose?: 'train' | 'answer';
  /**
   * Whether training rows must have the parents' right answers: `required`; `optional`, where parents are asked for those that are missing;
   * or `asked`, where parents are asked about any row. A row whose parents are asked needs their inputs too. @default 'required'
   */
  readonly parents?: 'required' | 'optional' | 'asked';
  /** How an answer in JSON is checked and written. */
  readonly writeJson?: WriteJsonAnswer;
}

/** Returns a function that reads rows for a task under the rules, in any of the forms of `plainRow`; the task's inputs are worked out once. */
export function openRowReader(
  task: TaskSpec,
  { tasks, purpose = 'train', parents: rule = 'required', writeJson }: RowRules = {},
): (value: unknown) => TaskRow | readonly Describe[] {
  const specs = new Map((tasks ?? []).map((spec) => [spec.id, spec]));
  const slots = answerSlots(task);
  const chain = slotChain(task, specs);
  // Without the other tasks, a parent might use what this task does not.
  const mayUse = (uses: (spec: TaskSpec) => boolean) => chain.some(uses) || (!tasks && slots.length > 0);
  const takesText = ({ instruction }: TaskSpec) => slotsOf(instruction).includes('text');
  const needsOf = (asked: readonly TaskSpec[]) => ({
    text: asked.find(takesText),
    image: asked.find(taking('image')),
    audio: asked.find(taking('audio')),
  });
  const [needsAlone, needsAsked] = [needsOf([task]), needsOf(chain)];
  const usesText = mayUse(takesText);
  const uses = { image: mayUse(taking('image')), audio: mayUse(taking('audio')) };
  const needing = ({ id }: TaskSpec, what: string) =>
    id === task.id
      ? `task "${id}" ${what}`
      : `task "${task.id}" builds on the answer of "${id}", which ${what}`;

  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return [() => `not a JSON object, but ${kindOf(value)}`];
    const { row, problems } = plainRow(value as Record<string, unknown>);
    const { text, parents = {}, answer } = row;
    /** The keys that unknown ones probably mean: they are not missing too. */
    const meant = new Set<string>();
    for (const key of Object.keys(row)) {
      if (rowKeys.includes(key)) continue;
      const near = nearestSpelling(key, nameableKeys);
      if (near !== undefined) meant.add(near);
      problems.push(
        () =>
          `unknown key ${quoteText(key)}` +
          (near === undefined
            ? ` (known are ${rowKeys.join(', ')}); remove it`
            : `; did you mean "${near}"?`),
      );
    }
    const hasAll = slots.every((slot) => Object.hasOwn(Object(parents) as object, slot));
    const areAsked = purpose === 'answer' || rule === 'asked' || (rule === 'optional' && !hasAll);
    const needs = areAsked ? needsAsked : needsAlone;
    const needsText = needs.text;
    const right = readAnswer(answer, task, { field: '"answer"', writeJson });
    if ('problem' in right && !(answer === undefined && meant.has('answer'))) problems.push(right.problem);

    if (text !== undefined && typeof text !== 'string')
      problems.push(() => `"text" must be a string, got ${kindOf(text)}`);
    else if (text !== undefined && isBroken(text)) problems.push(() => `"text" ${brokenText}`);
    else if (!isVisible(text ?? '')) {
      if (needsText && !meant.has('text'))
        problems.push(
          () =>
            `${needing(needsText, 'has a slot {text}')}, but ${text === undefined ? 'the row has no text' : `"text" ${text.trim() === '' ? 'is empty' : 'has no visible character'}`}`,
        );
    } else if (!usesText)
      problems.push(
        () =>
          `"text" is given, but the instruction of task "${task.id}" has no slot {text}; add the slot, or remove the text`,
      );

    for (const kind of ['image', 'audio'] as const) {
      const [path, needed, a] = [row[kind], needs[kind], nounOf[kind]];
      if (path !== undefined && typeof path !== 'string')
        problems.push(() => `"${kind}" must be a path, got ${kindOf(path)}`);
      else if (path !== undefined && (path.trim() === '' || isBroken(path)))
        problems.push(() => (path.trim() === '' ? `"${kind}" is empty` : `"${kind}" ${brokenText}`));
      else if (path === undefined) {
        if (needed && !meant.has(kind))
          problems.push(() => `${needing(needed, `takes ${a}`)}, but the row has none`);
      } else if (!uses[kind])
        problems.push(
          () =>
            `"${kind}" is given, but task "${task.id}" does not take one; add ${kind} to its inputs, or remove it`,
        );
    }

    const given = new Map<string, string>();
    if (typeof parents !== 'object' || parents === null || Array.isArray(parents))
      problems.push(() => `"parents" must be an object, got ${kindOf(parents)}`);
    else {
      for (const [id, one] of Object.entries(parents as Record<string, unknown>)) {
        if (!task.dependsOn.includes(id)) {
          problems.push(() => unknownParent(id, task));
          continue;
        }
        const field = `the answer of "${id}" in "parents"`;
        const read = readAnswer(one, specs.get(id) ?? { id, answer: { type: 'text' } }, { field, writeJson });
        if ('problem' in read) problems.push(read.problem);
        else given.set(id, read.answer);
      }
      if (rule === 'required' && !meant.has('parents'))
        for (const slot of slots)
          if (!Object.hasOwn(parents, slot))
            problems.push(
              () =>
                `the instruction of "${task.id}" has a slot for "${slot}", but "parents" has no answer for it`,
            );
    }
    if (problems.length > 0 || 'problem' in right) return problems;
    return {
      ...(typeof row['image'] === 'string' ? { image: row['image'] } : {}),
      ...(typeof row['audio'] === 'string' ? { audio: row['audio'] } : {}),
      text: typeof text === 'string' ? text : '',
      parents: Object.fromEntries(given),
      answer: right.answer,
    };
  };
}

/** How a row is told that it lacks one. */
const nounOf = { image: 'an image', audio: 'a sound' } as const;

const taking =
  (kind: 'image' | 'audio') =>
  ({ inputs }: TaskSpec) =>
    inputs.includes(kind);

const isVisible = (text: string) => /[^\s\p{Default_Ignorable_Code_Point}]/u.test(text);

/** Keys of other forms too. */
const nameableKeys = [...rowKeys, 'messages', 'images', 'audios', 'prompt', 'completion'];

function unknownParent(id: string, { id: task, dependsOn }: TaskSpec): string {
  const near = nearestSpelling(id, dependsOn);
  return (
    `"parents" has an answer of ${quoteText(id)}, but task "${task}" does not depend on it` +
    (near === undefined ? '; remove it, or add it to dependsOn' : `; did you mean "${near}"?`)
  );
}

/** The task and, through the slots, every task that is asked before it; only itself where the others are unknown. */
function slotChain(task: TaskSpec, specs: ReadonlyMap<string, TaskSpec>): TaskSpec[] {
  const chain = new Set([task]);
  // A set may grow while it is iterated over.
  for (const one of chain)
    for (const slot of answerSlots(one)) {
      const parent = specs.get(slot);
      if (parent) chain.add(parent);
    }
  return [...chain];
}
