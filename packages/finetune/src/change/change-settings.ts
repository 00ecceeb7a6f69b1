/** The settings of a changed run: those that it has, for the tasks that it will have. */
import type { Partition } from '@contextlora/lora';

import { FinetuneError } from '../finetune-error.js';
import { type ByTask, isByTask, ofTask } from '../run/setting-values.js';
import type { TrainConfig } from '../run/train-config.js';
import { exclusive, stepsOfEpochs, type TrainSettings } from '../run/train-settings.js';

/** The settings that a change may give to the tasks that it is about: those that each task has for itself. */
export const changedSettingKeys = [
  'steps',
  'epochs',
  'batches',
  'learningRate',
  'loraDropout',
  'parentAnswers',
  'imageDropout',
  'textDropout',
  'rank',
  'alpha',
  'targets',
  'layers',
] as const satisfies readonly (keyof TrainConfig)[];

export type ChangedSettings = Pick<TrainConfig, (typeof changedSettingKeys)[number]>;

export interface ChangeSettingsOptions {
  /** Of the run: ranks stay what they are. */
  readonly partition: Partition;
  /** All tasks of the changed run. */
  readonly tasks: readonly string[];
  /** The values that the change gives to `named`: the tasks that it adds, or trains again because they were asked for. */
  readonly given: ChangedSettings;
  readonly named: readonly string[];
  /** Training rows by task, which epochs are counted in. */
  readonly rows: Readonly<Record<string, number>>;
}

/**
 * Settings with a value for each task lose those of removed tasks. A new task has what it is given, or what all tasks have, or the largest
 * ranks and steps among them.
 *
 * @throws FinetuneError (`FINETUNE_SETTINGS_INVALID`) when a value is given to a task that is not `named`, or steps in two ways.
 */
export function changeSettings(
  settings: TrainSettings,
  { partition, tasks, given, named, rows }: ChangeSettingsOptions,
): TrainSettings {
  requireNamed(given, named);
  const { epochs, ...others } = given;
  const steps = epochs === undefined ? others.steps : stepsOfEpochs(epochs, { rows, ...settings });
  const over = { ...others, ...(steps === undefined ? {} : { steps }) };
  const keys = [...new Set([...Object.keys(settings), ...Object.keys(over)])] as (keyof TrainSettings)[];
  const changed = keys.flatMap((key): [string, unknown][] => {
    // One rank for each task leaves nothing to divide.
    if (key === 'allocation') return [];
    const [setting, own] = [settings[key], over[key as keyof typeof over]] as ByTask<unknown>[];
    if (own === undefined && !isByTask(setting)) return setting === undefined ? [] : [[key, setting]];
    const valueOf = (task: string) =>
      (named.includes(task) ? ofTask(own, task) : undefined) ?? ofTask(setting, task);
    const values = tasks.flatMap((task): [string, unknown][] => {
      const value = valueOf(task);
      return value === undefined ? [] : [[task, value]];
    });
    return values.length === 0 ? [] : [[key, Object.fromEntries(values)]];
  });
  const left = Object.fromEntries(changed) as unknown as TrainSettings;
  const most = (values: Iterable<number>) => Math.max(...values);
  const ranks = new Map(partition.order.map((task) => [task, largestRank(partition, task)]));
  const rankOf = (task: string) =>
    ranks.get(task) ?? ofTask<number>(given.rank, task) ?? most(ranks.values());
  const { steps: own } = left;
  const stepsOf = (task: string) =>
    ofTask(own, task) ?? most(partition.order.flatMap((old) => ofTask(settings.steps, old) ?? []));
  const toEach = (valueOf: (task: string) => number) =>
    Object.fromEntries(tasks.map((task) => [task, valueOf(task)]));
  return { ...left, rank: toEach(rankOf), steps: isByTask(own) ? toEach(stepsOf) : own };
}

function requireNamed(given: ChangedSettings, named: readonly string[]): void {
  const both = exclusive.filter(([p, q]) => p in given && q in given);
  const problems = [
    ...both.map(([p, q]) => `"${p}" and "${q}" say one thing in two ways; leave one of them out`),
    ...Object.entries(given).flatMap(([key, setting]) =>
      (isByTask(setting as ByTask<unknown>) ? Object.keys(setting as object) : [])
        .filter((task) => !named.includes(task))
        .map(
          (task) =>
            `"${key}" names "${task}", but this change is about ${named.join(', ') || 'no task that could have settings'}`,
        ),
    ),
  ];
  if (problems.length > 0)
    throw new FinetuneError('FINETUNE_SETTINGS_INVALID', 'changeSettings', problems.join('\n'), { problems });
}

function largestRank({ layers }: Partition, task: string): number {
  const spans = Object.values(layers).flatMap(({ spans: all }) => all[task] ?? []);
  return Math.max(0, ...spans.map(({ start, end }) => end - start));
}
