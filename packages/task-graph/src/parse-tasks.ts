/** Reads a task file (YAML): checks everything, and reports all problems at once with their lines. */
import { isNode, isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml';
import type { z } from 'zod';

import { checkTasks, type CheckedTask, didYouMean, type Located } from './check-tasks.js';
import { type TaskFileProblem, TaskGraphError } from './task-graph-error.js';
import { maximumTasks, taskFileSchema } from './task-file-schema.js';
import type { TaskFile, TaskSpec } from './task-spec.js';

const maximumBytes = 1024 * 1024;
/** The search ends here: a file of another kind would have one problem per line. */
const maximumProblems = 100;

/**
 * Parses and checks the text of a task file.
 *
 * @throws TaskGraphError (`TASK_GRAPH_FILE_INVALID`) listing every problem, up to 100: bad YAML, unknown keys, wrong types, duplicate
 * ids, unknown or circular dependencies, duplicate labels, slots without a dependency.
 */
export function parseTasks(source: string, { file = 'tasks.yaml' }: { file?: string } = {}): TaskFile {
  if (source.length > maximumBytes)
    throw problemsIn(file, [
      { line: 1, column: 1, message: `${source.length} characters; a task file has at most ${maximumBytes}` },
    ]);
  const lines = new LineCounter();
  // Duplicate keys are looked for below, in linear time.
  const document = parseDocument(source, { lineCounter: lines, uniqueKeys: false });
  const problemAt = (offset: number, message: string): TaskFileProblem => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col), message };
  };
  const syntax = [
    ...document.errors.map(({ pos, message }) => ({ offset: pos[0], message: firstLine(message) })),
    ...duplicateKeys(document),
  ];
  if (syntax.length > 0)
    throw problemsIn(
      file,
      syntax.map(({ offset, message }) => problemAt(offset, message)),
    );
  const problemsAt = (located: Iterable<Located>) =>
    Array.from(located, ({ path, message }) => problemAt(offsetOf(document, path), message));

  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 50 });
  } catch (cause) {
    throw problemsIn(file, [{ line: 1, column: 1, message: firstLine((cause as Error).message) }]);
  }
  const parsed = taskFileSchema().safeParse(value);
  if (!parsed.success)
    throw problemsIn(file, [
      ...problemsAt(firstOf(describeIssues(parsed.error.issues))),
      // Other checks do not depend on these and are reported too.
      ...problemsAt(firstOf(checkTasks(looseTasks(value)))),
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
  const problems = problemsAt(firstOf(checkTasks(tasks)));
  if (problems.length > 0) throw problemsIn(file, problems);
  return { ...(parsed.data.name === undefined ? {} : { name: parsed.data.name }), tasks };
}

function problemsIn(file: string, found: readonly TaskFileProblem[]): TaskGraphError {
  const problems = [...found]
    .sort((p, q) => p.line - q.line || p.column - q.column)
    .slice(0, maximumProblems);
  const count =
    found.length >= maximumProblems
      ? `at least ${maximumProblems} problems, among them`
      : found.length === 1
        ? 'a problem'
        : `${found.length} problems`;
  const lines = problems.map(({ line, column, message }) => `  ${file}:${line}:${column}: ${message}`);
  return new TaskGraphError('TASK_GRAPH_FILE_INVALID', 'parseTasks', [`${count}:`, ...lines].join('\n'), {
    problems,
  });
}

function* firstOf(located: Iterable<Located>): Generator<Located> {
  let count = 0;
  for (const problem of located) {
    yield problem;
    if (++count === maximumProblems) return;
  }
}

/** The keys that a map has already had. */
function duplicateKeys(document: Document): { offset: number; message: string }[] {
  const found: { offset: number; message: string }[] = [];
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value))
          found.push({
            offset: key.range?.[0] ?? 0,
            message: `the key "${String(key.value)}" is given twice; keys must be unique`,
          });
        seen.add(key.value);
      }
    },
  });
  return found;
}

/** The recognisable tasks of a file that failed its schema. */
function looseTasks(value: unknown): CheckedTask[] {
  const tasks = (value as { tasks?: unknown } | null)?.tasks;
  if (!Array.isArray(tasks)) return [];
  return tasks.slice(0, maximumTasks).map((task: unknown) => {
    const { id, dependsOn, instruction } = (task ?? {}) as Record<string, unknown>;
    return {
      id: typeof id === 'string' ? id : '',
      dependsOn: Array.isArray(dependsOn) ? dependsOn.filter((parent) => typeof parent === 'string') : [],
      instruction: typeof instruction === 'string' ? instruction : '',
    };
  });
}

/** The keys that are known at a depth of the file. */
const knownKeys: Readonly<Record<number, readonly string[]>> = {
  0: ['version', 'name', 'tasks'],
  2: ['id', 'dependsOn', 'instruction', 'inputs', 'answer', 'data', 'share'],
  3: ['type', 'labels', 'schema', 'train', 'validation', 'test'],
};

function* describeIssues(issues: readonly z.core.$ZodIssue[]): Generator<Located> {
  for (const issue of issues)
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys[issue.path.length] ?? [];
      for (const key of issue.keys)
        yield { path: [...issue.path, key], message: `unknown key "${key}"${didYouMean(key, known)}` };
    } else {
      const field = issue.path.filter((part) => typeof part === 'string').at(-1);
      yield {
        path: issue.path,
        message: `${field === undefined ? '' : `"${field}": `}${issue.message}`,
      };
    }
}

/** Where a value is in the source; where its nearest existing ancestor is, when it is missing. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

const firstLine = (text: string) => text.split('\n')[0] ?? text;
