/** Records keyed by task ids or names from files: a task may be called "constructor". */

/** The value under a key of the record itself, never one that every object inherits. */
export const lookUp = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;
