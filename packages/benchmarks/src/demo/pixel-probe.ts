/** The control beside the model's accuracy: a linear classifier on raw pixels (and the words of the input text). */
import type { TaskSplits } from '@contextlora/finetune';
import type { TaskSpec } from '@contextlora/task-graph';
import type { TaskRow } from '@contextlora/trainer';
import sharp from 'sharp';

import { linearProbe, type ProbeSet } from '../linear-probe.js';

const sidePixels = 32;

/** Accuracy per test set of a linear probe trained on a label task's training rows; undefined where it does not apply. */
export async function pixelProbe(
  task: TaskSpec,
  { train, tests }: TaskSplits,
  { seed }: { seed: number },
): Promise<Record<string, number> | undefined> {
  if (task.answer.type !== 'label' || !task.inputs.includes('image')) return undefined;
  const { labels } = task.answer;
  const words = [...new Set(train.flatMap(({ text }) => text.split(/\s+/)))].filter((word) => word !== '');
  const setOf = async (rows: readonly TaskRow[]): Promise<ProbeSet> => ({
    features: await Promise.all(rows.map((row) => featuresOf(row, words))),
    classes: rows.map(({ answer }) => labels.indexOf(answer)),
  });
  const names = Object.keys(tests);
  const accuracies = linearProbe(
    await setOf(train),
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
  const said = new Set(text.split(/\s+/));
  // A word weighs as much as a block of pixels, or the few words would drown.
  const repeated = words.flatMap((word) => new Array<number>(30).fill(said.has(word) ? 1 : 0));
  return Float32Array.from([...Array.from(pixels, (value) => value / 255), ...repeated]);
}
