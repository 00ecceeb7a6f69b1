/** A small run of four tasks, trained in memory: two that choose labels, one that writes and one that sees. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { embeddedScenario } from '@contextlora/benchmarks';
import { prepareRun, readTaskData, trainRun } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { loadModel, type LoadedModel, type LocalModel } from '@contextlora/model';
import type { ServableRun } from '@contextlora/serve';

const tasks = `
version: 1
tasks:
  - id: light
    instruction: '{text} light ?'
    inputs: [text]
    answer: { type: label, labels: [night, sunny] }
    data: { train: light.jsonl, test: { test: light.jsonl } }
  - id: lamp
    dependsOn: [light]
    instruction: '{text} light {light} . lamp ?'
    inputs: [text]
    answer: { type: label, labels: [yes, no] }
    data: { train: lamp.jsonl, test: { test: lamp.jsonl } }
  - id: note
    dependsOn: [light]
    instruction: '{text} light {light} . note ?'
    inputs: [text]
    answer: { type: text }
    data: { train: note.jsonl, test: { test: note.jsonl } }
  - id: colour
    instruction: 'colour ?'
    inputs: [image]
    answer: { type: label, labels: [red, blue] }
    data: { train: colour.jsonl, test: { test: colour.jsonl } }
`;

export const [low, bright] = ['the light is low .', 'the light is bright .'];
const rows: Readonly<Record<string, readonly object[]>> = {
  light: [
    { text: low, answer: 'night' },
    { text: bright, answer: 'sunny' },
  ],
  lamp: [
    { text: low, parents: { light: 'night' }, answer: 'yes' },
    { text: bright, parents: { light: 'sunny' }, answer: 'no' },
  ],
  note: [
    { text: low, parents: { light: 'night' }, answer: 'the road is wet' },
    { text: bright, parents: { light: 'sunny' }, answer: 'the road is dry' },
  ],
  colour: [
    { image: 'red.png', answer: 'red' },
    { image: 'blue.png', answer: 'blue' },
  ],
};

/** 2 × 2 pixels each. */
export const pictures = {
  red: 'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mP4z8AARAwQCgAf7gP9Y167WwAAAABJRU5ErkJggg==',
  blue: 'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAD0lEQVR42mNgYPgPRmAKABf2A/3HkIu0AAAAAElFTkSuQmCC',
} as const;

export interface ServedLight {
  readonly base: LoadedModel;
  readonly run: ServableRun;
  /** What training left, to compare with. */
  readonly model: LocalModel;
  /** The folder of its task file and pictures. */
  readonly directory: string;
  dispose(): Promise<void>;
}

export async function trainServedLight(): Promise<ServedLight> {
  const directory = await mkdtemp(join(tmpdir(), 'contextlora-serve-'));
  await writeFile(join(directory, 'tasks.yaml'), tasks);
  for (const [task, lines] of Object.entries(rows))
    await writeFile(join(directory, `${task}.jsonl`), lines.map((row) => JSON.stringify(row)).join('\n'));
  for (const [colour, base64] of Object.entries(pictures))
    await writeFile(join(directory, `${colour}.png`), Buffer.from(base64, 'base64'));
  const data = await readTaskData(join(directory, 'tasks.yaml'));
  const base = await loadModel(embeddedScenario().modelDirectory, { kernels: await openKernels() });
  const settings = { seed: 0, rank: 8, steps: 20, batchSize: 2, learningRate: 1e-2 };
  const prepared = prepareRun(base, data, { settings });
  for await (const { type } of trainRun(prepared, { settings }))
    if (type === 'resume') throw new Error('nothing to resume');
  const { model, partition } = prepared;
  return {
    base,
    model,
    directory,
    run: {
      graph: data.graph,
      settings,
      partition,
      segments: model.segments(),
      trainedTasks: data.graph.nodes(),
    },
    async dispose() {
      await model[Symbol.asyncDispose]();
      base.dispose();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
