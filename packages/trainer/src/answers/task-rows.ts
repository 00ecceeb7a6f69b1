/** Labelled examples of a task, as a data file has them. */
import type { TaskSpec } from '@contextlora/task-graph';

/** A line of a data file. */
export interface TaskRow {
  /** Path of the image; absent for a text-only task. */
  readonly image?: string;
  /** Path of the sound; absent for a task that hears none. */
  readonly audio?: string;
  /** The input text of the row, for the slot `{text}` of the instruction. */
  readonly text: string;
  /** Gold answers of the tasks that the instruction has slots for; some may be missing where they can be predicted. */
  readonly parents: Readonly<Record<string, string>>;
  readonly answer: string;
}

/** Rows in their order: a list, or rows that are read when they are asked for. */
export interface RowList extends Iterable<TaskRow> {
  readonly length: number;
  at(index: number): TaskRow | undefined;
}

/** The parents whose answers the instruction of a task asks for, in the order of its dependencies. */
export function answerSlots(task: TaskSpec): string[] {
  return task.dependsOn.filter((id) => task.instruction.includes(`{${id}}`));
}
