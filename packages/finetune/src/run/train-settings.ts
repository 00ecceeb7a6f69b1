/** The settings of a run: a configuration whose gaps are filled and whose epochs are steps. Plain JSON. */
import type { TrainConfig, SettingKey } from './train-config.js';
import { settingKeys } from './train-config.js';
import { type ByTask, ofTask } from './setting-values.js';

/** Everything that decides the result of a run, beside its data and its base. */
export interface TrainSettings extends Omit<Pick<TrainConfig, SettingKey>, 'epochs'> {
  readonly seed: number;
  /** Ranks per linear layer, divided among all tasks; or the ranks of each task. */
  readonly rank: ByTask<number>;
  /** Optimizer steps per task: one number for all, or a number for each. */
  readonly steps: ByTask<number>;
  /** Examples per optimizer step. */
  readonly batchSize: number;
  /** Peak of the schedule. */
  readonly learningRate: ByTask<number>;
}

/** What a configuration leaves open; `rank`, `batchSize` and `learningRate` come from a prototype of the demo's scenes (docs/decisions.md). */
export const defaultSettings = {
  seed: 0,
  rank: 32,
  steps: 250,
  batchSize: 16,
  learningRate: 3e-3,
} as const satisfies TrainSettings;

/**
 * The settings that a configuration means for tasks with these numbers of training rows: epochs become steps, ⌈epochs · rows / batch size⌉.
 */
export function settingsOf(
  config: TrainConfig,
  { rows }: { readonly rows: Readonly<Record<string, number>> },
): TrainSettings {
  const { epochs, ...given } = Object.fromEntries(
    Object.entries(config).filter(([key]) => (settingKeys as readonly string[]).includes(key)),
  ) as Pick<TrainConfig, SettingKey>;
  const settings = { ...defaultSettings, ...given };
  if (epochs === undefined) return settings;
  return { ...settings, steps: stepsOfEpochs(epochs, { rows, ...settings }) };
}

/** Task → the steps of its epochs, over these numbers of rows. */
export function stepsOfEpochs(
  epochs: ByTask<number>,
  { rows, batchSize }: { readonly rows: Readonly<Record<string, number>>; readonly batchSize: number },
): Readonly<Record<string, number>> {
  const steps = Object.entries(rows).flatMap(([task, count]): [string, number][] => {
    const own = ofTask<number>(epochs, task);
    return own === undefined ? [] : [[task, Math.max(1, Math.ceil((own * count) / batchSize))]];
  });
  return Object.fromEntries(steps);
}

/** Joins a configuration with one that counts more; steps and epochs replace each other, and so do the two forms of a warm-up. */
export function mergeConfigs(config: TrainConfig, over: TrainConfig): TrainConfig {
  const replaced = new Set(
    exclusive.flatMap(([p, q]) => (p in over ? [q] : q in over ? [p] : [])).filter((key) => !(key in over)),
  );
  const kept = Object.entries(config).filter(([key]) => !replaced.has(key as (typeof exclusive)[number][0]));
  return { ...(Object.fromEntries(kept) as TrainConfig), ...over };
}

/** Keys that say the same in two ways. */
export const exclusive = [
  ['steps', 'epochs'],
  ['warmupSteps', 'warmupShare'],
] as const;

/** Optimizer steps of several tasks together. */
export const totalSteps = ({ steps }: Pick<TrainSettings, 'steps'>, tasks: readonly string[]): number =>
  tasks.reduce((sum, task) => sum + (ofTask(steps, task) ?? 0), 0);
