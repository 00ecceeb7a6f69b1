/** How a run finds the best state of a task: by its accuracy on the validation rows, as in use. */
import type { Example } from '@contextlora/model';
import { answerParents, type KeepBest, type Prediction, type TrainableModel } from '@contextlora/trainer';

import { exampleOfGraph } from '../data/examples.js';
import type { TaskData } from '../data/task-data.js';
import { evaluateTask } from './evaluate-task.js';
import type { TrainConfig } from './train-config.js';

/** Steps between two evaluations, if only the patience is given. */
const defaultEverySteps = 25;

/** Whether a run keeps the best state of each task. */
export const keepsBest = ({
  evaluateEverySteps,
  earlyStopping,
}: Pick<TrainConfig, 'evaluateEverySteps' | 'earlyStopping'>): boolean =>
  evaluateEverySteps !== undefined || earlyStopping !== undefined;

/** Undefined for a run that keeps the last state of every task. */
export function keepBestOfRun(
  model: Pick<TrainableModel<Example>, 'predict'>,
  { graph, rows: all }: TaskData,
  config: TrainConfig,
): KeepBest | undefined {
  if (!keepsBest(config)) return undefined;
  const { evaluateEverySteps, earlyStopping } = config;
  // The parents of a task are frozen while it trains, so they are asked once.
  const parents = new Map<string, Readonly<Record<string, readonly Prediction[]>>>();
  return {
    everySteps: evaluateEverySteps ?? defaultEverySteps,
    ...(earlyStopping === undefined ? {} : { patience: earlyStopping }),
    async score(task) {
      const rows = all[task]?.validation ?? [];
      const known =
        parents.get(task) ??
        (await answerParents(model, graph, task, rows, { exampleOf: exampleOfGraph(graph) }));
      parents.set(task, known);
      return (await evaluateTask(model, { graph, task, rows, known })).accuracy;
    },
  };
}
