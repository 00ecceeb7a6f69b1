/** How much each linear matters to each task, before training: the norm of the gradient of an untrained segment. */
import { type Importance, initialiseSegments, partitionRanks } from '@contextlora/lora';
import { createLocalModel, linearsOf, type LoadedModel } from '@contextlora/model';
import { tasksOf } from '@contextlora/task-graph';
import { sampleBatch } from '@contextlora/trainer';

import { trainingExample } from '../data/examples.js';
import type { TaskData } from '../data/task-data.js';
import type { TrainSettings } from './train-settings.js';

/** Training rows per task. */
const mostRows = 64;
/** Of every segment, in all linears. */
const probingRank = 8;

/**
 * Measures, task by task, the Frobenius norm of dL/dB of a fresh segment of rank 8 in every linear, where L is the mean loss over up to 64
 * training rows drawn by the seed, with the right answers of parents and without their segments. Yields the tasks done.
 *
 * As B is zero at first, this is the gradient of the linear's weight in eight random directions of its input.
 */
export async function* measureImportance(
  base: LoadedModel,
  { graph, rows: all }: TaskData,
  { seed, batchSize, microBatches = 1, promptLoss = false }: TrainSettings,
): AsyncGenerator<{ done: number; total: number }, Importance> {
  const tasks = tasksOf(graph);
  const importance: Record<string, Readonly<Record<string, number>>> = {};
  for (const [done, task] of tasks.entries()) {
    yield { done, total: tasks.length };
    const partition = partitionRanks(linearsOf(base.spec), [{ ...task, dependsOn: [] }], {
      rank: probingRank,
    });
    await using model = createLocalModel(base, {
      partition,
      segments: initialiseSegments(partition, { seed }),
      // A step at rate 1 takes exactly the gradient from B, which is zero before.
      optimizer: { method: 'sgd', clipNorm: Infinity },
      promptLoss,
    });
    await model.setPhase({ tasks: [task.id], roles: { [task.id]: { [task.id]: 'train' } } });
    const rows = all[task.id]?.train ?? [];
    const key = { seed, task: `importance of ${task.id}`, step: 0 };
    const examples = sampleBatch(rows.length, Math.min(mostRows, rows.length), key).flatMap((index) => {
      const row = rows.at(index);
      return row ? [trainingExample(task, row)] : [];
    });
    await model.step(task.id, partsOf(examples, Math.ceil(batchSize / microBatches)), { learningRate: 1 });
    importance[task.id] = Object.fromEntries(
      Object.entries(model.segments()[task.id] ?? {}).map(([linear, { b }]) => [
        linear,
        Math.sqrt(b.reduce((sum, value) => sum + value * value, 0)),
      ]),
    );
  }
  return importance;
}

const partsOf = <Value>(values: readonly Value[], size: number): Value[][] =>
  Array.from({ length: Math.ceil(values.length / size) }, (_, part) =>
    values.slice(part * size, (part + 1) * size),
  );
