/** The answers that the trained parents of a task give for its training rows. */
import { keyedRandom } from '@contextlora/lora';
import type { Example } from '@contextlora/model';
import type { TaskGraph, TaskSpec } from '@contextlora/task-graph';
import { answerParents, answerSlots, type RowList, type TrainableModel } from '@contextlora/trainer';

import type { ChildData } from './child-data.js';
import { exampleOfGraph } from './examples.js';

/** Parent → its answer for each row; null where it was not asked. Plain JSON. */
export type PredictedAnswers = Readonly<Record<string, readonly (string | null)[]>>;

export interface ParentAnswersOptions extends Pick<ChildData, 'predictedShare'> {
  readonly task: TaskSpec;
  readonly rows: RowList;
  readonly seed: number;
}

/**
 * Asks the parents about the rows that need it, as in use: from image and text, with predicted answers of their own parents. Yields the
 * number of rows done.
 */
export async function* predictParents(
  model: Pick<TrainableModel<Example>, 'predict'>,
  graph: TaskGraph,
  { task, rows, seed, predictedShare }: ParentAnswersOptions,
): AsyncGenerator<{ done: number; total: number }, PredictedAnswers> {
  const slots = answerSlots(task);
  const isPredicted = openChoice({ task, seed, predictedShare });
  const needed: number[] = [];
  let index = 0;
  if (predictedShare !== 'none')
    for (const { parents } of rows) {
      if (isPredicted(index) || slots.some((slot) => !Object.hasOwn(parents, slot))) needed.push(index);
      index += 1;
    }
  const answers = Object.fromEntries(
    slots.map((slot) => [slot, new Array<string | null>(rows.length).fill(null)]),
  );
  for (let start = 0; start < needed.length; start += rowsAtOnce) {
    const chunk = needed.slice(start, start + rowsAtOnce);
    const inputs = chunk.flatMap((at) => rows.at(at) ?? []);
    const given = await answerParents(model, graph, task.id, inputs, { exampleOf: exampleOfGraph(graph) });
    for (const slot of slots)
      for (const [i, at] of chunk.entries()) answers[slot]![at] = given[slot]?.[i]?.answer ?? null;
    yield { done: start + chunk.length, total: needed.length };
  }
  return answers;
}

const rowsAtOnce = 256;

/** Returns the answers of parents that stand in the training prompt of a row. */
export function openParentAnswers(
  { task, seed, predictedShare }: Omit<ParentAnswersOptions, 'rows'>,
  predicted: PredictedAnswers,
): (index: number, gold: Readonly<Record<string, string>>) => Readonly<Record<string, string>> {
  const slots = answerSlots(task);
  const isPredicted = openChoice({ task, seed, predictedShare });
  return (index, gold) => {
    if (predictedShare === 'none') return gold;
    const asked = Object.fromEntries(
      slots.flatMap((slot): [string, string][] => {
        const answer = predicted[slot]?.[index];
        return answer == null ? [] : [[slot, answer]];
      }),
    );
    return isPredicted(index) ? asked : { ...asked, ...gold };
  };
}

/** Which rows have predicted answers, keyed by (seed, task, row): the same in every epoch and after a resume. */
function openChoice({ task, seed, predictedShare }: Omit<ParentAnswersOptions, 'rows'>) {
  return (index: number): boolean =>
    predictedShare !== 'none' && keyedRandom(seed, 'parent answers', task.id, index).next() < predictedShare;
}
