/** The training rows of a task as examples, made when they are drawn where they differ from step to step or are too many to keep. */
import type { Example } from '@contextlora/model';
import type { TaskSpec } from '@contextlora/task-graph';
import { answerSlots, type ExampleSource, type RowList, type TaskRow } from '@contextlora/trainer';

import type { ChildData } from './child-data.js';
import { trainingExample } from './examples.js';
import { type Dropped, openInputDropout } from './input-dropout.js';
import { openParentAnswers, type PredictedAnswers } from './parent-answers.js';

export interface TrainingSourceOptions {
  readonly childData: ChildData;
  readonly seed: number;
  /** From `predictParents`. */
  readonly predicted?: PredictedAnswers;
}

/** A list where every step sees the same examples; a row that lost its image or text is what a row without it is in use. */
export function trainingSource(
  task: TaskSpec,
  rows: RowList,
  { childData, seed, predicted = {} }: TrainingSourceOptions,
): readonly Example[] | ExampleSource<Example> {
  const { imageDropout, textDropout } = childData;
  const parentsOf = openParentAnswers({ task, seed, ...childData }, predicted);
  const exampleOf = (row: TaskRow, index: number, dropped = nothing) =>
    trainingExample(task, without({ ...row, parents: parentsOf(index, row.parents) }, dropped));
  const isKept = Array.isArray(rows);
  if (isKept && imageDropout === 0 && textDropout === 0)
    return Array.from(rows, (row: TaskRow, index) => exampleOf(row, index));

  const dropoutOf = openInputDropout(childData, {
    seed,
    task: task.id,
    hasOthers: answerSlots(task).length > 0 || task.inputs.includes('audio'),
  });
  // The model turns each example object into tokens once.
  const kept = new Map<string, Example>();
  return {
    length: rows.length,
    draw: (indices, step) =>
      indices.flatMap((index) => {
        const row = rows.at(index);
        if (!row) return [];
        const dropped = dropoutOf(index, step);
        if (!isKept) return [exampleOf(row, index, dropped)];
        const key = `${index} ${dropped.image} ${dropped.text}`;
        const example = kept.get(key) ?? exampleOf(row, index, dropped);
        kept.set(key, example);
        return [example];
      }),
  };
}

const nothing: Dropped = { image: false, text: false };

function without({ image, text, ...row }: TaskRow, dropped: Dropped): TaskRow {
  return {
    ...row,
    text: dropped.text ? '' : text,
    ...(image === undefined || dropped.image ? {} : { image }),
  };
}
