/** The parts of a run before it starts: its partition, its phases and a model with untrained segments. */
import { initialiseSegments, type Partition, partitionRanks } from '@contextlora/lora';
import { createLocalModel, linearsOf, type LoadedModel, type LocalModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import { type Phase, planPhases, rolesOf as contextRoles, type RolesOf } from '@contextlora/trainer';

import type { TaskData } from '../data/read-task-data.js';
import type { TrainSettings } from './train-settings.js';

export interface PreparedRun {
  readonly data: TaskData;
  readonly partition: Partition;
  readonly phases: readonly Phase[];
  readonly model: LocalModel;
}

/** Decides ranks and phases and makes the model; trains nothing and writes nothing. */
export function prepareRun(
  base: LoadedModel,
  data: TaskData,
  { settings, rolesOf = contextRoles }: { settings: TrainSettings; rolesOf?: RolesOf },
): PreparedRun {
  const partition = partitionRanks(linearsOf(base.spec), tasksOf(data.graph), { rank: settings.rank });
  const segments = initialiseSegments(partition, { seed: settings.seed });
  return {
    data,
    partition,
    phases: planPhases(data.graph, { rolesOf }),
    model: createLocalModel(base, { partition, segments }),
  };
}
