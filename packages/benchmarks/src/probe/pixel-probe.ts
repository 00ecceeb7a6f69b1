/** A control for the model's accuracy: a linear classifier on raw pixels and the words of the text. */
import type { TaskSplits } from '@contextlora/finetune';
import type { TaskSpec } from '@contextlora/task-graph';
import type { TaskRow } from '@contextlora/trainer';
import sharp from 'sharp';

import { linearProbe, type ProbeSet } from './linear-probe.js';

const sidePixels = 32;

/** Accuracy per test set of a linear probe trained on a task's training rows; undefined unless the task has an image and labels. */
export async function pixelProbe(
  task: TaskSpec,
  { train, tests }: TaskSplits,
  { seed }: { seed: number },
): Promise<Record<string, number> | undefined> {
  if (task.answer.type !== 'label' || !task.inputs.includes('image')) return undefined;
  const { labels } = task.answer;
  const rows = [...train];
  const words = [...new Set(rows.flatMap(({ text }) => text.split(/\s+/)))].filter((word) => word !== '');
  const setOf = async (list: readonly TaskRow[]): Promise<ProbeSet> => ({
    features: await Promise.all(list.map((row) => featuresOf(row, words))),
    classes: list.map(({ answer }) => labels.indexOf(answer)),
  });
  const names = Object.keys(tests);
  const accuracies = linearProbe(
    await setOf(rows),
    await Promise.all(names.map((name) => setOf(tests[name] ?? []))),
    {
      classCount: labels.length,
      seed,
    },
  );
  return Object.fromEntries(names.map((name, i) => [name, accuracies[i] ?? 0]));
}

async function featuresOf({ image, text }: TaskRow, words: readonly string[]): Promise<Float32Array> {
  const pixels = image
    ? await sharp(image).resize(sidePixels, sidePixels).removeAlpha().raw().toBuffer()
    : Buffer.alloc(0);
  const used = new Set(text.split(/\s+/));
  // A word counts as much as a block of pixels; a single feature would be lost among them.
  const repeated = words.flatMap((word) => new Array<number>(30).fill(used.has(word) ? 1 : 0));
  return Float32Array.from([...Array.from(pixels, (value) => value / 255), ...repeated]);
}
