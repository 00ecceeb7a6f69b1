/** Finds the pictures of a run that cannot be read, before anything is trained. */
import { checkPicture, ModelError } from '@contextlora/model';

import { eachSplit, entriesOf, lineOf } from './each-split.js';
import type { SourceProblems } from './list-problems.js';
import type { ReadTaskData } from './task-data.js';

/** Files that are in memory at the same time. */
const filesAtOnce = 4;

/** Checks every picture once, and reports it where it is first named. */
export async function pictureProblems(data: Omit<ReadTaskData, 'warnings'>): Promise<SourceProblems[]> {
  const places = new Map<string, { path: string; line: string; rows: number }>();
  for (const { rows, source } of eachSplit(data))
    for (const [i, { image }] of entriesOf(rows)) {
      if (image === undefined || !source) continue;
      const known = places.get(image);
      if (known) known.rows += 1;
      else places.set(image, { path: source.path, line: lineOf(source, i), rows: 1 });
    }
  const found: SourceProblems[] = [];
  const waiting = places.entries();
  const check = async () => {
    // All workers take from one iterator.
    for (const [image, { path, line, rows }] of waiting) {
      const problem = await problemOf(image);
      if (problem === undefined) continue;
      const others = rows > 1 ? ` (and ${rows - 1} more rows)` : '';
      found.push({ path, problems: [`${line}${others}: ${problem}`], problemCount: 1 });
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, check));
  return found;
}

const problemOf = (image: string): Promise<string | undefined> =>
  checkPicture(image).then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ModelError) return error.message;
      throw error;
    },
  );
