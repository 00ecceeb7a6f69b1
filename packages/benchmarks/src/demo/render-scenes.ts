/** The demo's scenes on disk: rendered once and kept when a run is resumed. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { writeWhole } from '@contextlora/lora/files';

import {
  type DatasetProgress,
  defaultIovCounts,
  type IovCounts,
  writeIovDataset,
} from '../iov/write-iov-dataset.js';

/** Renders into `directory` unless an earlier run has done so; fewer scenes if `effort` is below 1. Returns how many were rendered. */
export async function* renderScenes(
  directory: string,
  { seed, effort }: { seed: number; effort: number },
): AsyncGenerator<DatasetProgress, number> {
  const complete = join(directory, 'complete.json');
  const counts = demoCounts(effort);
  const content = `${JSON.stringify({ seed, counts }, null, 2)}\n`;
  if ((await readFile(complete, 'utf8').catch(() => undefined)) === content) return 0;
  let total = 0;
  for await (const progress of writeIovDataset(directory, { seed, counts })) {
    total = progress.total;
    yield progress;
  }
  await writeWhole(complete, content);
  return total;
}

/** How many scenes of each task and split the demo renders; fewer if `effort` is below 1. */
export const demoCounts = (effort: number): IovCounts =>
  effort >= 1 ? defaultIovCounts : scaledCounts(defaultIovCounts, effort);

const fewestScenes = 30;

function scaledCounts(counts: IovCounts, factor: number): IovCounts {
  const scaled = (split: IovCounts['train']) => {
    const count = (task: keyof typeof split) => Math.max(fewestScenes, Math.round(split[task] * factor));
    return {
      vehicle: count('vehicle'),
      weather: count('weather'),
      road: count('road'),
      strategy: count('strategy'),
    };
  };
  return {
    train: scaled(counts.train),
    validation: scaled(counts.validation),
    test: scaled(counts.test),
    'unseen-style': scaled(counts['unseen-style']),
  };
}
