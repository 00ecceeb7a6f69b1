/** Inputs that a run has twice: in training and test rows, or with two answers. */
import type { TaskRow } from '@contextlora/trainer';

import { eachSplit, entriesOf, placeOf, type Split } from './each-split.js';
import type { TaskData } from './task-data.js';

/** Training rows up to which they are compared: each takes memory, or time to read. */
export const mostCompared = 1_000_000;

/** One warning per test set, validation set or task; linear in the number of rows. */
export function sharedInputs(data: TaskData): string[] {
  const warnings: string[] = [];
  /** Input → the first training row that has it. */
  let trained = new Map<string, number>();
  let train: Split | undefined;
  for (const split of eachSplit(data)) {
    if (split.kind === 'train') {
      [train, trained] = [split, new Map<string, number>()];
      if (split.rows.length > mostCompared) {
        warnings.push(
          `task "${split.task}": its ${split.rows.length.toLocaleString('en')} training rows were not compared with one another and with the rows to be answered, because they are more than ${mostCompared.toLocaleString('en')}`,
        );
        continue;
      }
      const conflicts: [number, number][] = [];
      const isFree = data.graph.getNodeAttributes(split.task).answer.type === 'text';
      for (const [i, row] of entriesOf(split.rows)) {
        const first = trained.get(inputOf(row));
        if (first === undefined) trained.set(inputOf(row), i);
        else if (!isFree && split.rows.at(first)?.answer !== row.answer) conflicts.push([first, i]);
      }
      const [pair] = conflicts;
      if (pair)
        warnings.push(
          `task "${split.task}": ${count(conflicts.length, 'training row')} ${conflicts.length === 1 ? 'has' : 'have'} the input of an earlier one, but another answer ` +
            `(first: ${placeOf(split, pair[0])} and ${placeOf(split, pair[1])})`,
        );
      continue;
    }
    const shared = Array.from(entriesOf(split.rows)).filter(([, row]) => trained.has(inputOf(row)));
    const [firstEntry] = shared;
    if (firstEntry === undefined || !train) continue;
    const [first, firstRow] = firstEntry;
    const trainedRow = trained.get(inputOf(firstRow)) ?? 0;
    warnings.push(
      `task "${split.task}": ${shared.length} of ${split.rows.length} ${split.title} are also training rows, so their accuracy says little about new inputs ` +
        `(first: ${placeOf(split, first)} and ${placeOf(train, trainedRow)})`,
    );
  }
  return warnings;
}

/** What the model is given. */
const inputOf = ({ image, audio, text, parents }: TaskRow) =>
  JSON.stringify([image, audio, text, Object.entries(parents).sort(([p], [q]) => (p < q ? -1 : 1))]);

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
