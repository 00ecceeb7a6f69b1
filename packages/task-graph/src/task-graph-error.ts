/** The errors of this package that are meant for a caller. */

export type TaskGraphErrorCode =
  /** A task file cannot be used; `problems` says where and why. */
  | 'TASK_GRAPH_FILE_INVALID'
  /** Tasks that make no graph: an id twice, an unknown dependency, a cycle. */
  | 'TASK_GRAPH_TASKS_INVALID'
  /** A task that the graph does not have. */
  | 'TASK_GRAPH_TASK_UNKNOWN'
  /** An instruction has a slot for an answer that was not given. */
  | 'TASK_GRAPH_ANSWER_MISSING';

export interface TaskFileProblem {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  readonly message: string;
}

export class TaskGraphError extends Error {
  override readonly name = 'TaskGraphError';
  readonly code: TaskGraphErrorCode;
  /** The problems of a task file, in the order of its lines; empty for every other code. */
  readonly problems: readonly TaskFileProblem[];
  constructor(
    code: TaskGraphErrorCode,
    where: string,
    what: string,
    { problems = [], ...options }: ErrorOptions & { readonly problems?: readonly TaskFileProblem[] } = {},
  ) {
    super(`task-graph/${where}: ${what}`, options);
    this.code = code;
    this.problems = problems;
  }
}
