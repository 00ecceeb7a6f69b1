import { SchedulerError } from '../scheduler-error.js';

/** Looks names up in a table. @throws SchedulerError for a name that is not there */
export const lookUp = (table: ReadonlyMap<string, number>, kind: string) => (name: string) => {
  const index = table.get(name);
  if (index === undefined)
    throw new SchedulerError(
      'SCHEDULER_NAME_UNKNOWN',
      'costs',
      `there is no ${kind} "${name}" in this problem`,
    );
  return index;
};
