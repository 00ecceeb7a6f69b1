/** The settings of a changed run: those that it has, for the tasks that it will have. */
import type { Partition } from '@contextlora/lora';

import { type ByTask, isByTask, ofTask } from '../run/setting-values.js';
import type { TrainSettings } from '../run/train-settings.js';

/** What a change may set for the tasks that it is about. */
export interface GivenSettings {
  readonly rank?: number;
  readonly steps?: number;
}

export interface ChangeSettingsOptions {
  /** Of the run: ranks stay what they are. */
  readonly partition: Partition;
  /** All tasks of the changed run. */
  readonly tasks: readonly string[];
  /** The values that the change gives to `named`: the tasks that it adds, or trains again because they were asked for. */
  readonly given: GivenSettings;
  readonly named: readonly string[];
}

/**
 * Settings with a value for each task lose those of removed tasks. A new task has what it is given, or what all tasks have, or the largest
 * ranks and steps among them.
 */
export function changeSettings(
  settings: TrainSettings,
  { partition, tasks, given, named }: ChangeSettingsOptions,
): TrainSettings {
  const left = Object.entries(settings).map(([key, setting]): [string, unknown] => {
    if (!isByTask(setting as ByTask<unknown>)) return [key, setting];
    return [
      key,
      Object.fromEntries(Object.entries(setting as object).filter(([task]) => tasks.includes(task))),
    ];
  });
  const old = partition.order;
  const ranksOfOld = new Map(old.map((task) => [task, largestRank(partition, task)]));
  const largest = (values: Iterable<number>) => Math.max(...values);
  const ranks = Object.fromEntries(
    tasks.map((task) => [task, ranksOfOld.get(task) ?? given.rank ?? largest(ranksOfOld.values())]),
  );
  const isGiven = (task: string) => given.steps !== undefined && named.includes(task);
  const stepsOf = (task: string) =>
    isGiven(task)
      ? (given.steps ?? NaN)
      : (ofTask(settings.steps, task) ?? largest(old.flatMap((one) => ofTask(settings.steps, one) ?? [])));
  const steps =
    isByTask(settings.steps) || tasks.some(isGiven)
      ? Object.fromEntries(tasks.map((task) => [task, stepsOf(task)]))
      : settings.steps;
  const rank = Object.values(ranks).reduce((sum, own) => sum + own, 0);
  return { ...(Object.fromEntries(left) as unknown as TrainSettings), rank, ranks, steps };
}

function largestRank({ layers }: Partition, task: string): number {
  const spans = Object.values(layers).flatMap(({ spans: all }) => all[task] ?? []);
  return Math.max(0, ...spans.map(({ start, end }) => end - start));
}
