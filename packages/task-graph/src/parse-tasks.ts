/** Reads a task file (YAML): checks everything, and reports all problems at once with their lines. */
import { isNode, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';

import { findCycle } from './find-cycle.js';
import { nearestSpelling } from './nearest-spelling.js';
import { slotsOf } from './render-instruction.js';
import { taskFileSchema } from './task-file-schema.js';
import type { TaskFile, TaskSpec } from './task-spec.js';

export interface TaskFileProblem {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  readonly message: string;
}

/** A task file with problems; the command shows them and exits with code 2. */
export class TaskFileError extends Error {
  override readonly name = 'TaskFileError';
  readonly problems: readonly TaskFileProblem[];
  constructor(file: string, problems: readonly TaskFileProblem[]) {
    const sorted = [...problems].sort((p, q) => p.line - q.line || p.column - q.column);
    const lines = sorted.map(({ line, column, message }) => `  ${file}:${line}:${column}: ${message}`);
    super(
      [
        `task-graph/parseTasks: ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:`,
        ...lines,
      ].join('\n'),
    );
    this.problems = sorted;
  }
}

const maximumBytes = 1024 * 1024;

/**
 * Parses and checks the text of a task file.
 *
 * @throws TaskFileError listing every problem: bad YAML, unknown keys, wrong types, duplicate ids, unknown or circular dependencies,
 * duplicate labels, slots without a dependency.
 */
export function parseTasks(source: string, { file = 'tasks.yaml' }: { file?: string } = {}): TaskFile {
  if (source.length > maximumBytes)
    throw new TaskFileError(file, [
      { line: 1, column: 1, message: `${source.length} characters; a task file has at most ${maximumBytes}` },
    ]);
  const lines = new LineCounter();
  const document = parseDocument(source, {
    lineCounter: lines,
    uniqueKeys: true,
    maxAliasCount: 50,
  } as never);
  const problemAt = (offset: number, message: string): TaskFileProblem => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col), message };
  };
  if (document.errors.length > 0)
    throw new TaskFileError(
      file,
      document.errors.map(({ pos, message }) => problemAt(pos[0], firstLine(message))),
    );
  const at = (path: readonly PropertyKey[], message: string) => problemAt(offsetOf(document, path), message);

  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 50 });
  } catch (cause) {
    throw new TaskFileError(file, [{ line: 1, column: 1, message: firstLine((cause as Error).message) }]);
  }
  const parsed = taskFileSchema.safeParse(value);
  if (!parsed.success)
    throw new TaskFileError(file, [
      ...parsed.error.issues.flatMap((issue) =>
        describe(issue).map(({ path, message }) => at(path, message)),
      ),
      // What can be checked in spite of them is reported too.
      ...crossChecks(looseTasks(value)).map(({ path, message }) => at(path, message)),
    ]);

  const tasks = parsed.data.tasks.map(({ data: { train, validation, test }, share, ...task }): TaskSpec => ({
    ...task,
    ...(share === undefined ? {} : { share }),
    data: {
      ...(train === undefined ? {} : { train }),
      ...(validation === undefined ? {} : { validation }),
      ...(test === undefined ? {} : { test: typeof test === 'string' ? { test } : test }),
    },
  }));
  const problems = crossChecks(tasks);
  if (problems.length > 0)
    throw new TaskFileError(
      file,
      problems.map(({ path, message }) => at(path, message)),
    );
  return { ...(parsed.data.name === undefined ? {} : { name: parsed.data.name }), tasks };
}

interface Located {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

type LooseTask = Pick<TaskSpec, 'id' | 'dependsOn' | 'instruction'> & {
  readonly answer?: TaskSpec['answer'];
};

/** What no single field shows: ids, dependencies, cycles, labels, slots. */
function crossChecks(tasks: readonly LooseTask[]): Located[] {
  const problems: Located[] = [];
  const ids = tasks.map(({ id }) => id);
  for (const [index, { id, dependsOn, instruction, answer }] of tasks.entries()) {
    const here = (...rest: PropertyKey[]) => ['tasks', index, ...rest];
    if (ids.indexOf(id) < index)
      problems.push({ path: here('id'), message: `task "${id}" is defined twice` });
    for (const [i, parent] of dependsOn.entries()) {
      const path = here('dependsOn', i);
      if (parent === id) problems.push({ path, message: `task "${id}" depends on itself` });
      else if (!ids.includes(parent))
        problems.push({
          path,
          message: `task "${id}" depends on "${parent}", which is not defined${didYouMean(parent, ids)}`,
        });
      else if (dependsOn.indexOf(parent) < i)
        problems.push({ path, message: `task "${id}" names its dependency "${parent}" twice` });
    }
    const labels = answer?.type === 'label' ? answer.labels : [];
    for (const [i, label] of labels.entries())
      if (labels.indexOf(label) < i)
        problems.push({
          path: here('answer', 'labels', i),
          message: `task "${id}" has the label "${label}" twice`,
        });
    for (const slot of slotsOf(instruction))
      if (slot !== 'text' && !dependsOn.includes(slot))
        problems.push({
          path: here('instruction'),
          message:
            `the instruction of "${id}" has a slot {${slot}}, but "${id}" does not depend on "${slot}"` +
            (ids.includes(slot) ? '; add it to dependsOn' : didYouMean(slot, ['text', ...dependsOn])),
        });
  }
  const cycle = findCycle(
    tasks.map(({ id, dependsOn }) => ({ id, dependsOn: dependsOn.filter((parent) => parent !== id) })),
  );
  if (cycle)
    problems.push({
      path: ['tasks', ids.indexOf(cycle[0] ?? ''), 'dependsOn'],
      message: `the dependencies form a cycle: ${cycle.map((id) => `"${id}"`).join(' → ')}; take one of them out`,
    });
  return problems;
}

/** The tasks of a file that failed its schema, as far as they can be made out. */
function looseTasks(value: unknown): LooseTask[] {
  const tasks = (value as { tasks?: unknown } | null)?.tasks;
  if (!Array.isArray(tasks)) return [];
  return tasks.map((task: unknown) => {
    const { id, dependsOn, instruction } = (task ?? {}) as Record<string, unknown>;
    return {
      id: typeof id === 'string' ? id : '',
      dependsOn: Array.isArray(dependsOn) ? dependsOn.filter((parent) => typeof parent === 'string') : [],
      instruction: typeof instruction === 'string' ? instruction : '',
    };
  });
}

const knownKeys: Readonly<Record<number, readonly string[]>> = {
  0: ['version', 'name', 'tasks'],
  2: ['id', 'dependsOn', 'instruction', 'inputs', 'answer', 'data', 'share'],
  3: ['type', 'labels', 'schema', 'train', 'validation', 'test'],
};

function describe(issue: z.core.$ZodIssue): Located[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: `unknown key "${key}"${didYouMean(key, knownKeys[issue.path.length] ?? [])}`,
    }));
  const where = issue.path.filter((part) => typeof part === 'string').at(-1);
  return [{ path: issue.path, message: `${where === undefined ? '' : `"${where}": `}${issue.message}` }];
}

/** Where a value stands in the source; its nearest existing ancestor when it is missing. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function didYouMean(word: string, candidates: readonly string[]): string {
  const nearest = nearestSpelling(word, candidates);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}

const firstLine = (text: string) => text.split('\n')[0] ?? text;
