/** Reads a task file (YAML): checks everything, and reports all problems at once with their lines. */
import { checkTasks, type CheckedTask, type Located, type SchemaProblems } from './check-tasks.js';
import { describeIssues } from './describe-issues.js';
import { openYaml } from './open-yaml.js';
import { type TaskFileProblem, TaskGraphError } from './task-graph-error.js';
import { maximumTasks, taskFileSchema } from './task-file-schema.js';
import type { TaskFile, TaskSpec } from './task-spec.js';

/** The keys that are known at a depth of the file. */
const knownKeys: Readonly<Record<number, readonly string[]>> = {
  0: ['version', 'name', 'tasks'],
  2: ['id', 'dependsOn', 'instruction', 'inputs', 'answer', 'data', 'share'],
  3: ['type', 'labels', 'schema', 'train', 'validation', 'test'],
};
const keysAt = ({ length }: readonly PropertyKey[]) => knownKeys[length] ?? [];
/** The search ends here: a file of another kind would have one problem per line. */
const maximumProblems = 100;

export interface ParseTasksOptions {
  /** The name of the file in messages. @default 'tasks.yaml' */
  readonly file?: string;
  /** Finds what is wrong with the JSON schema of an answer, so that it is reported at its line; by default nothing. */
  readonly schemaProblems?: SchemaProblems;
}

/**
 * Parses and checks a task file, given as text or as the bytes of a UTF-8 file.
 *
 * @throws TaskGraphError (`TASK_GRAPH_FILE_INVALID`) listing every problem, up to 100: another encoding, bad YAML, unknown or repeated
 * keys, wrong types, duplicate ids, unknown or circular dependencies, duplicate labels, slots without a dependency or an input.
 */
export function parseTasks(
  source: string | Uint8Array,
  { file = 'tasks.yaml', schemaProblems }: ParseTasksOptions = {},
): TaskFile {
  const opened = openYaml(source, { kind: 'a task file' });
  if ('problems' in opened) throw problemsIn(file, opened.problems);
  const { yaml } = opened;
  const problemAt = (offset: number, message: string): TaskFileProblem => ({
    ...yaml.positionOf(offset),
    message,
  });
  const problemsAt = (located: Iterable<Located>) =>
    Array.from(firstOf(located), ({ path, message }) => problemAt(yaml.offsetOf(path), message));

  const parsed = taskFileSchema().safeParse(yaml.value);
  if (!parsed.success)
    throw problemsIn(file, [
      ...problemsAt(describeIssues(parsed.error.issues, { sourceOf: (path) => yaml.sourceOf(path), keysAt })),
      // Other checks do not depend on these and are reported too.
      ...problemsAt(checkTasks(looseTasks(yaml.value))),
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
  const problems = problemsAt(checkTasks(tasks, schemaProblems ? { schemaProblems } : {}));
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
