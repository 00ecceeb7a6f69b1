/** Settings that may differ from task to task. */
export type ByTask<Value> = Value | Readonly<Record<string, Value>>;

/** Whether a setting has a value for each task. */
export const isByTask = <Value>(setting: ByTask<Value>): setting is Readonly<Record<string, Value>> =>
  typeof setting === 'object' && setting !== null;

/** The value of a task, undefined if the setting names only others. */
export function ofTask<Value>(setting: ByTask<Value> | undefined, task: string): Value | undefined {
  if (setting === undefined || !isByTask(setting)) return setting;
  return Object.hasOwn(setting, task) ? setting[task] : undefined;
}
