/** What is wrong between settings, and between settings, tasks and model: all of it at once, before anything is read at length. */
import { optimizerProblems } from '@contextlora/model';
import { nearestSpelling, type TaskSpec } from '@contextlora/task-graph';

import { childDataProblems } from '../data/child-data.js';
import { FinetuneError } from '../finetune-error.js';
import { optimizerOfRun } from './optimizer-of-run.js';
import { isByTask, ofTask } from './setting-values.js';
import type { LayerRange, TrainConfig } from './train-config.js';
import { exclusive } from './train-settings.js';

/** Settings that need a value for every task, if they have one for any. */
const complete: readonly string[] = ['steps', 'epochs', 'rank', 'learningRate'];

/**
 * Checks a configuration against its tasks and, where it is known, the model's number of decoder layers.
 *
 * @throws FinetuneError (`FINETUNE_SETTINGS_INVALID`) listing every problem.
 */
export function checkTrainConfig(
  config: TrainConfig,
  { tasks, layerCount }: { readonly tasks: readonly TaskSpec[]; readonly layerCount?: number },
): void {
  const problems = [
    ...exclusive
      .filter((pair) => pair.every((key) => config[key] !== undefined))
      .map(([p, q]) => `"${p}" and "${q}" say one thing in two ways; leave one of them out`),
    ...taskProblems(
      config,
      tasks.map(({ id }) => id),
    ),
    ...unusedProblems(config),
    ...optimizerProblems(optimizerOfRun(config)),
    ...rateProblems(config),
    ...validationProblems(config, tasks),
    ...batchProblems(config, tasks),
    ...childDataProblems(config, tasks),
    ...(layerCount === undefined ? [] : layerProblems(config, tasks, layerCount)),
  ];
  if (problems.length > 0)
    throw new FinetuneError(
      'FINETUNE_SETTINGS_INVALID',
      'checkTrainConfig',
      ['these settings make no sense:', ...problems.map((problem) => `  ${problem}`)].join('\n'),
      { problems },
    );
}

function taskProblems(config: TrainConfig, ids: readonly string[]): string[] {
  return Object.entries(config).flatMap(([key, setting]) => {
    if (!isByTask(setting as never)) return [];
    const named = Object.keys(setting as object);
    const unknown = named
      .filter((task) => !ids.includes(task))
      .map((task) => {
        const nearest = nearestSpelling(task, ids);
        return `"${key}" names "${task}", which is not a task of the run${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`;
      });
    const missing = complete.includes(key) ? ids.filter((id) => !named.includes(id)) : [];
    return [...unknown, ...missing.map((id) => `"${key}" has no number for task "${id}"`)];
  });
}

/** Settings that would have no effect. */
function unusedProblems(config: TrainConfig): string[] {
  const { rank, allocation, schedule, rateFloor, longRows, truncationSide, batchSize, microBatches } = config;
  return [
    ...(allocation !== undefined && rank !== undefined && isByTask(rank)
      ? ['"allocation" divides a rank among the tasks, but "rank" has one for each; leave one of them out']
      : []),
    ...(schedule === 'constant' && rateFloor !== undefined
      ? ['"rateFloor" has no effect on a constant rate; leave it out']
      : []),
    ...(truncationSide !== undefined && longRows !== 'truncate'
      ? ['"truncationSide" has no effect unless "longRows" is truncate']
      : []),
    ...(microBatches !== undefined && microBatches > (batchSize ?? 16)
      ? [`"microBatches" is ${microBatches}, but a batch has only ${batchSize ?? 16} examples`]
      : []),
  ];
}

/** The default rate was measured with AdamW. */
function rateProblems({ optimizer = 'adamw', learningRate }: TrainConfig): string[] {
  if (optimizer === 'adamw' || learningRate !== undefined) return [];
  const usual =
    optimizer === 'lion' ? 'a third to a tenth of that of adamw' : 'ten to a hundred times that of adamw';
  return [
    `"learningRate" has a default for adamw alone; give one for ${optimizer}, usually ${usual} (0.003)`,
  ];
}

/** What is kept by its validation rows needs some. */
function validationProblems(
  { earlyStopping, evaluateEverySteps }: TrainConfig,
  tasks: readonly TaskSpec[],
): string[] {
  const asking = [
    ...(earlyStopping === undefined ? [] : ['"earlyStopping"']),
    ...(evaluateEverySteps === undefined ? [] : ['"evaluateEverySteps"']),
  ];
  if (asking.length === 0) return [];
  return tasks
    .filter(({ data }) => data.validation === undefined)
    .map(
      ({ id }) =>
        `${asking.join(' and ')} judge a task by its validation rows, and task "${id}" has none; name a file under data.validation`,
    );
}

function batchProblems({ batches }: TrainConfig, tasks: readonly TaskSpec[]): string[] {
  return tasks
    .filter(({ id, answer }) => ofTask(batches, id) === 'balanced' && answer.type !== 'label')
    .map(
      ({ id }) =>
        `"batches" is balanced for task "${id}", whose answers are no labels; name the tasks that it is for, as in { ${tasks.find(({ answer }) => answer.type === 'label')?.id ?? 'road'}: balanced }`,
    );
}

function layerProblems({ layers }: TrainConfig, tasks: readonly TaskSpec[], layerCount: number): string[] {
  const ranges = tasks.map(({ id }) => ofTask<LayerRange>(layers, id));
  const different = new Map(ranges.map((range) => [JSON.stringify(range), range]));
  return [...different.values()].flatMap((range) =>
    range && !(range.from < range.to && range.to <= layerCount)
      ? [
          `"layers" has { from: ${range.from}, to: ${range.to} }, but the model has decoder layers 0 to ${layerCount - 1}`,
        ]
      : [],
  );
}
