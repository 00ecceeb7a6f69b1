/** Finds the pictures and sounds of a run that cannot be read, before anything is trained, and how long the sounds are. */
import { checkPicture, checkSound, ModelError } from '@contextlora/model';

import { eachSplit, entriesOf, lineOf } from './each-split.js';
import type { SourceProblems } from './list-problems.js';
import type { ReadTaskData } from './task-data.js';

/** Files that are in memory at the same time. */
const filesAtOnce = 4;

export interface CheckedFiles {
  readonly problems: readonly SourceProblems[];
  /** The samples of 16 kHz of each sound, by its path. */
  readonly sounds: ReadonlyMap<string, number>;
}

/** Checks every file once, and reports it where it is first named. */
export async function checkFiles(data: Omit<ReadTaskData, 'warnings' | 'sounds'>): Promise<CheckedFiles> {
  const places = new Map<string, Place>();
  for (const { rows, source } of eachSplit(data))
    for (const [i, { image, audio }] of entriesOf(rows))
      for (const [kind, file] of [
        ['image', image],
        ['audio', audio],
      ] as const) {
        if (file === undefined || !source) continue;
        const known = places.get(`${kind} ${file}`);
        if (known) known.rows += 1;
        else
          places.set(`${kind} ${file}`, { kind, file, path: source.path, line: lineOf(source, i), rows: 1 });
      }
  const problems: SourceProblems[] = [];
  const samples = new Map<string, number>();
  const waiting = places.values();
  const check = async () => {
    // All workers take from one iterator.
    for (const { kind, file, path, line, rows } of waiting) {
      const problem = await problemOf(async () => {
        if (kind === 'image') await checkPicture(file);
        else samples.set(file, (await checkSound(file)).samples);
      });
      if (problem === undefined) continue;
      const others = rows > 1 ? ` (and ${rows - 1} more rows)` : '';
      problems.push({ path, problems: [`${line}${others}: ${problem}`], problemCount: 1 });
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, check));
  return { problems, sounds: samples };
}

/** The samples of 16 kHz of sounds, by their paths. @throws ModelError when one is not a sound that is read. */
export async function soundSamples(paths: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const samples = new Map<string, number>();
  for (const path of new Set(paths)) samples.set(path, (await checkSound(path)).samples);
  return samples;
}

interface Place {
  readonly kind: 'image' | 'audio';
  readonly file: string;
  readonly path: string;
  readonly line: string;
  rows: number;
}

const problemOf = (check: () => Promise<void>): Promise<string | undefined> =>
  check().then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ModelError) return error.message;
      throw error;
    },
  );
