/** The partition that settings ask for. */
import {
  type Allocate,
  allocateByData,
  allocateByImportance,
  allocateByLevel,
  allocateByShare,
  allocateFixed,
  allocateUniform,
  type Importance,
  type Partition,
  partitionRanks,
} from '@contextlora/lora';
import { linearsOf, type LoadedModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';

import { FinetuneError } from '../finetune-error.js';
import type { TaskData } from '../data/task-data.js';
import { isByTask, ofTask } from './setting-values.js';
import type { LayerRange } from './train-config.js';
import type { TrainSettings } from './train-settings.js';

/**
 * Divides the ranks of a model's linears among the tasks; by `importance` (`measureImportance`) if the settings say so.
 *
 * @throws FinetuneError (`FINETUNE_SETTINGS_INVALID`) when it is needed and absent, LoraError (`LORA_PARTITION_INVALID`) when ranks, targets and layers do not go together.
 */
export function partitionOfRun(
  { spec }: Pick<LoadedModel, 'spec'>,
  { graph, rows }: Pick<TaskData, 'graph' | 'rows'>,
  { rank, alpha, scaling, allocation = 'share', layers, targets }: TrainSettings,
  { importance }: { readonly importance?: Importance | undefined } = {},
): Partition {
  const tasks = tasksOf(graph);
  const ranks = isByTask(rank) ? rank : undefined;
  const ofEach = <Value>(valueOf: (task: string) => Value | undefined): Record<string, Value> =>
    Object.fromEntries(
      tasks.flatMap(({ id }): [string, Value][] => {
        const value = valueOf(id);
        return value === undefined ? [] : [[id, value]];
      }),
    );
  if (!ranks && allocation === 'importance' && !importance) {
    const problem = 'allocation by importance needs what measureImportance returns; pass it as importance';
    throw new FinetuneError('FINETUNE_SETTINGS_INVALID', 'partitionOfRun', problem, { problems: [problem] });
  }
  const counts = ofEach((id) => rows[id]?.train.length);
  const strategies: Readonly<Record<NonNullable<TrainSettings['allocation']>, Allocate>> = {
    uniform: allocateUniform,
    share: allocateByShare,
    data: allocateByData(counts),
    level: allocateByLevel,
    importance: allocateByImportance(importance ?? {}),
  };
  return partitionRanks(linearsOf(spec), tasks, {
    ...(ranks
      ? { rank: Object.values(ranks).reduce((sum, own) => sum + own, 0), allocate: allocateFixed(ranks) }
      : { rank: Number(rank), allocate: strategies[allocation] }),
    ...(alpha === undefined ? {} : { alpha }),
    ...(scaling === undefined ? {} : { scaling }),
    only: ofEach((id) => ofTask<LayerRange>(layers, id)),
    targets: ofEach((id) => ofTask<readonly string[]>(targets, id)),
  });
}
