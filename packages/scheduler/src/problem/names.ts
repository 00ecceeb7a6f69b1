/** Names come from users: how values are found by them. */
import { SchedulerError } from '../scheduler-error.js';

/** A record's own entry: every object inherits a `constructor`, and a task may be called that. */
export const ownValue = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;

/**
 * A function that gives a name's index in a table.
 *
 * @throws SchedulerError for a name that is not there
 */
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
