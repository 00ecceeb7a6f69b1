import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { prepareRun, readTaskData, type TaskData, trainingExamples } from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import {
  decodeSafetensors,
  encodeSafetensors,
  float32Tensor,
  toFloat32,
} from '@contextlora/lora/safetensors';
import { type Example, type LoadedModel, loadModel } from '@contextlora/model';
import { planPhases, train, type TrainableModel, type TrainEvent } from '@contextlora/trainer';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { taskFile, writeScenario } from './light-scenario.js';

const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);
const settings = { seed: 3, rank: 8, steps: 3, batchSize: 2, learningRate: 1e-2 };

let directory: string;
let base: LoadedModel;
let data: TaskData;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'finetune-siblings-'));
  // Without the dependency, light and lamp are siblings.
  const tasks = taskFile.replace('    dependsOn: [light]\n', '').replace('light {light} . ', '');
  const lamp = ['yes', 'no'].map((answer, i) => ({ text: `the light is ${['low', 'bright'][i]} .`, answer }));
  const rows = lamp.map((row) => `${JSON.stringify(row)}\n`).join('');
  const files = { 'lamp.train.jsonl': rows, 'lamp.test.jsonl': rows };
  data = await readTaskData(await writeScenario(join(directory, 'apart'), { tasks, files }));
  base = await loadModel(baseModel, { kernels: await openKernels({ threads: 1 }) });
});
afterAll(async () => {
  base.dispose();
  await rm(directory, { recursive: true, force: true });
});

const modelOf = () => prepareRun(base, data, { settings }).model;

async function trainSiblings(
  model: TrainableModel<Example>,
  { concurrent = true }: { concurrent?: boolean } = {},
): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of train(model, planPhases(data.graph, { concurrent }), {
    ...settings,
    learningRate: () => settings.learningRate,
    examplesFor: (task) => trainingExamples(data.graph.getNodeAttributes(task), data.rows[task]?.train ?? []),
  }))
    events.push(event);
  return events;
}

describe('siblings that train in one phase', () => {
  test('end with the bytes of siblings that train one after the other, and with optimizer states of their own', async () => {
    const [together, apart] = [modelOf(), modelOf()];
    const events = await trainSiblings(together);
    await trainSiblings(apart, { concurrent: false });
    for (const task of ['light', 'lamp'])
      expect(await together.hashSegment(task)).toBe(await apart.hashSegment(task));
    const end = events.find((event) => event.type === 'phaseEnd');
    expect(Object.keys(end?.optimizer ?? {})).toEqual(['light', 'lamp']);
    expect(end?.optimizer?.['light']).not.toBe(end?.optimizer?.['lamp']);
  });

  test.each([
    ['segment', 'segments.safetensors', (tensor: string) => tensor.startsWith('lamp/')],
    ['momentum', 'optimizer-lamp.safetensors', (tensor: string) => tensor === 'first'],
  ])(
    'are refused as soon as a step of one moves the %s of another by the smallest amount',
    async (_, file, isMoved) => {
      const sound = modelOf();
      let steps = 0;
      const leaky: TrainableModel<Example> = {
        ...sound,
        async step(task, ...given) {
          const result = await sound.step(task, ...given);
          steps += 1;
          if (task !== 'light') return result;
          const files = await sound.saveState();
          const { tensors, metadata } = decodeSafetensors(files[file] ?? new Uint8Array());
          const [moved] = [...tensors.keys()].filter(isMoved);
          const changed = [...tensors].map(([name, tensor]) => {
            const values = toFloat32(tensor);
            if (name === moved) values[0] = (values[0] ?? 0) + 1e-6;
            return [name, float32Tensor(tensor.shape, values)] as const;
          });
          await sound.restoreState({ ...files, [file]: encodeSafetensors(changed, metadata) });
          return result;
        },
      };
      await expect(trainSiblings(leaky)).rejects.toMatchObject({
        code: 'TRAINER_FREEZE_VIOLATED',
        tasks: ['lamp'],
      });
      expect(steps).toBe(1);
    },
  );
});
