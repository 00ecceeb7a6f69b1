/** Values of settings as zod schemas, each with one message that says what it must be. */
import * as z from 'zod';

/** A whole number from `least` up, and to `most` if there is a limit. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER) {
  const range = most === Number.MAX_SAFE_INTEGER ? `, ${least} or more` : ` from ${least} to ${most}`;
  const error = () => `must be a whole number${range}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

/** A whole number from 1. */
export const count = (most?: number) => whole(1, most);

/** A number of at least, or above, `low`, and at most `high`. */
export function within(low: number, high: number, from: 'at least' | 'above') {
  const limit = high === Number.MAX_VALUE ? '' : ` and at most ${high}`;
  const error = () => `must be a number ${from} ${low}${limit}`;
  const number = z.number({ error }).max(high, { error });
  return from === 'above' ? number.gt(low, { error }) : number.min(low, { error });
}

/** A number from 0 to 1. */
export const share = () => within(0, 1, 'at least');

export const text = () => z.string({ error: () => 'must be a text' }).min(1);

/** One of some words. */
export const oneOf = <const Words extends readonly [string, ...string[]]>(...words: Words) =>
  z.enum(words, { error: () => `must be one of ${words.join(', ')}` });

/** One value for all tasks, or task → value. */
export function byTask<Value extends z.ZodType>(value: Value) {
  const phrase = value.safeParse(undefined).error?.issues[0]?.message ?? '';
  return z.union([value, z.record(z.string(), value)], {
    error: () => `${phrase}; or one for each task, as in { road: …, strategy: … }`,
  });
}

export type ByTask<Value> = Value | Readonly<Record<string, Value>>;

/** Whether a setting has a value for each task; ranges are objects too. */
export const isByTask = <Value>(setting: ByTask<Value>): setting is Readonly<Record<string, Value>> =>
  typeof setting === 'object' &&
  setting !== null &&
  !Array.isArray(setting) &&
  !(Object.hasOwn(setting, 'from') && typeof (setting as { from: unknown }).from === 'number');

/** The value of a task, undefined if the setting names only others. */
export function ofTask<Value>(setting: ByTask<Value> | undefined, task: string): Value | undefined {
  if (setting === undefined || !isByTask(setting)) return setting;
  return Object.hasOwn(setting, task) ? setting[task] : undefined;
}
