/**
 * Writes the Internet-of-Vehicles data set: a JSONL file for each task and split, and the pictures next to it.
 *
 * Every scene is a function of (seed, task, split, index): splits never share a scene, and another task would change none of them.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { keyedRandom } from '@contextlora/lora';
import { makeDirectory, withPath, writeWhole } from '@contextlora/lora/files';
import sharp from 'sharp';

import { createSceneRenderer, type SceneRenderer } from '../scenes/render-scene.js';
import { type IconStyle, sceneSizePixels } from '../scenes/scene.js';
import { drawSituation } from './draw-situation.js';
import { type IovTask, iovTasks, labelsOf } from './iov-labels.js';

export const iovSplits = ['train', 'validation', 'test', 'unseen-style'] as const;
export type IovSplit = (typeof iovSplits)[number];

export type IovCounts = Readonly<Record<IovSplit, Readonly<Record<IovTask, number>>>>;

const each = (count: number): Readonly<Record<IovTask, number>> => ({
  vehicle: count,
  weather: count,
  road: count,
  strategy: count,
});

/** The decision has few labelled scenes, as is common in practice. */
export const defaultIovCounts: IovCounts = {
  train: { ...each(1000), strategy: 240 },
  validation: each(100),
  test: each(240),
  'unseen-style': each(160),
};

/** The tasks whose answers a task's instruction contains. */
const parentsOf: Readonly<Record<IovTask, readonly IovTask[]>> = {
  vehicle: [],
  weather: [],
  road: ['weather'],
  strategy: ['vehicle', 'weather', 'road'],
};

export interface DatasetProgress {
  readonly done: number;
  readonly total: number;
}

/** Writes everything under `directory` and yields progress. */
export async function* writeIovDataset(
  directory: string,
  { seed, counts = defaultIovCounts }: { seed: number; counts?: IovCounts },
): AsyncGenerator<DatasetProgress> {
  const renderer = createSceneRenderer(['noto', 'fluent']);
  const plan = iovSplits.flatMap((split) =>
    iovTasks.map((task) => ({ split, task, count: counts[split][task] })),
  );
  const total = plan.reduce((sum, { count }) => sum + count, 0);
  let done = 0;
  for (const { split, task, count } of plan) {
    const name = `${task}.${split}`;
    await makeDirectory(join(directory, 'images', name));
    const rows: string[] = [];
    for (let start = 0; start < count; start += groupSize) {
      const group = Array.from({ length: Math.min(groupSize, count - start) }, (_, i) => start + i);
      rows.push(
        ...(await Promise.all(
          group.map((index) => writeExample(directory, { renderer, seed, split, task, index })),
        )),
      );
      done += group.length;
      yield { done, total };
    }
    await writeWhole(join(directory, `${name}.jsonl`), `${rows.join('\n')}\n`);
  }
}

/** Scenes rendered at once: enough to keep the thread pool busy. */
const groupSize = 40;

interface ExampleKey {
  readonly renderer: SceneRenderer;
  readonly seed: number;
  readonly split: IovSplit;
  readonly task: IovTask;
  readonly index: number;
}

/** Writes one picture and returns its row. */
async function writeExample(
  directory: string,
  { renderer, seed, split, task, index }: ExampleKey,
): Promise<string> {
  const style: IconStyle = split === 'unseen-style' ? 'fluent' : 'noto';
  const labels = labelsOf[task];
  const { scene, situation, answers } = drawSituation(task, labels[index % labels.length] ?? '', {
    random: keyedRandom(seed, 'iov', task, split, index),
    style,
    appearance: JSON.stringify([seed, 'iov', task, split, index]),
  });
  const image = `images/${task}.${split}/${String(index).padStart(5, '0')}.png`;
  const size = { width: sceneSizePixels, height: sceneSizePixels, channels: 3 } as const;
  // sharp would report a full disk without the code of the system's error.
  const png = await sharp(await renderer.render(scene), { raw: size })
    .png({ compressionLevel: 1 })
    .toBuffer();
  const path = join(directory, image);
  await writeFile(path, png).catch(withPath(path));
  return JSON.stringify({
    image,
    text: task === 'strategy' ? `limit ${situation.limit} .` : '',
    parents: Object.fromEntries(parentsOf[task].map((parent) => [parent, answers[parent]])),
    answer: answers[task],
  });
}
