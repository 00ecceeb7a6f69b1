import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import {
  checkTrainConfig,
  FinetuneError,
  mergeConfigs,
  parseTrainConfig,
  settingFlags,
  settingsOf,
  type TrainConfig,
  trainConfigJsonSchema,
} from '@contextlora/finetune';
import { parseTasks } from '@contextlora/task-graph';
import { describe, expect, test } from '@jest/globals';

import { taskFile } from './light-scenario.js';

const { tasks } = parseTasks(taskFile);

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof FinetuneError && error.code === 'FINETUNE_SETTINGS_INVALID') return error.problems;
    throw error;
  }
  return [];
}

describe('a configuration file', () => {
  test('may be empty, and gives every setting for all tasks or for each', () => {
    expect(parseTrainConfig('')).toEqual({});
    expect(
      parseTrainConfig(`
epochs: { light: 2, lamp: 0.5 }
layers: { lamp: { from: 2, to: 4 } }
targets: [q_proj, v_proj]
learningRate: 1e-3
clipNorm: none
`),
    ).toEqual({
      epochs: { light: 2, lamp: 0.5 },
      layers: { lamp: { from: 2, to: 4 } },
      targets: ['q_proj', 'v_proj'],
      learningRate: 0.001,
      clipNorm: 'none',
    });
  });

  test('with mistakes is refused with all of them, each at its line, and the nearest spelling of a key', () => {
    expect(
      problemsOf(() =>
        parseTrainConfig(
          `rank: 8
learningrate: 3
steps: 0
steps: 10
`,
          { file: 'my.yaml' },
        ),
      ),
    ).toEqual(['my.yaml:4:1: the key "steps" is given twice; keys must be unique']);
    expect(
      problemsOf(() =>
        parseTrainConfig(
          `rank: 8.5
learningrate: 3
steps: 0
layers: { lamp: { from: 2, too: 4 } }
batches: sorted
packing: true
`,
          { file: 'my.yaml' },
        ),
      ),
    ).toEqual([
      'my.yaml:1:7: "rank": must be a whole number from 1 to 65536; or one for each task, as in { road: …, strategy: … }',
      'my.yaml:2:15: unknown key "learningrate"; did you mean "learningRate"?',
      'my.yaml:3:8: "steps": must be a whole number from 1 to 1000000',
      'my.yaml:4:17: "to": must be a whole number, 1 or more',
      'my.yaml:4:33: unknown key "too"; did you mean "to"?',
      'my.yaml:5:10: "batches": must be one of shuffled, byLength, balanced; or one for each task, as in { road: …, strategy: … }',
      'my.yaml:6:10: "packing": is not supported, because examples in one row would see each other; batches: byLength pads little',
    ]);
  });

  test('has a JSON schema beside the package, which npm run schemas writes', async () => {
    const root = dirname(createRequire(import.meta.url).resolve('@contextlora/finetune/package.json'));
    const written: unknown = JSON.parse(await readFile(join(root, 'train-config.schema.json'), 'utf8'));
    expect(written).toEqual(JSON.parse(JSON.stringify(trainConfigJsonSchema())));
  });
});

describe('the flag of a setting', () => {
  const read = (key: string, source: string) =>
    settingFlags()
      .find((flag) => flag.key === key)
      ?.read(source);

  test('is written as the value in the file', () => {
    expect(read('steps', '{ light: 3, lamp: 4 }')).toEqual({ value: { light: 3, lamp: 4 } });
    expect(read('targets', '[q_proj]')).toEqual({ value: ['q_proj'] });
    expect(read('promptLoss', 'true')).toEqual({ value: true });
  });

  test('says what is wrong with it, and sets nothing else', () => {
    expect(read('steps', '-1')).toEqual({
      problem: 'must be a whole number from 1 to 1000000',
    });
    expect(read('rank', '3\nseed: 4')).toMatchObject({ problem: expect.stringContaining('unknown key') });
  });
});

describe('settings', () => {
  test('are those of the configuration, and defaults', () => {
    expect(settingsOf({ rank: 4, threads: 2 }, { rows: {} })).toEqual({
      seed: 0,
      rank: 4,
      steps: 250,
      batchSize: 16,
      learningRate: 3e-3,
    });
  });

  test('turn epochs into steps, of which the last may be begun', () => {
    const rows = { light: 33, lamp: 8 };
    expect(settingsOf({ epochs: 2, batchSize: 16 }, { rows })).toMatchObject({
      steps: { light: 5, lamp: 1 },
    });
    expect(settingsOf({ epochs: { light: 1, lamp: 6 }, batchSize: 16 }, { rows })).toMatchObject({
      steps: { light: 3, lamp: 3 },
    });
    expect(settingsOf({ epochs: 2 }, { rows })).not.toHaveProperty('epochs');
  });

  test('of a flag count more than those of a file, also when they say the same in another way', () => {
    expect(mergeConfigs({ steps: 10, rank: 4, seed: 1 }, { epochs: 2, rank: 8 })).toEqual({
      epochs: 2,
      rank: 8,
      seed: 1,
    });
    expect(mergeConfigs({ warmupShare: 0.1 }, { warmupSteps: 3 })).toEqual({ warmupSteps: 3 });
  });

  test.each<[TrainConfig, ...string[]]>([
    [{ steps: 3, epochs: 1 }, '"steps" and "epochs" say one thing in two ways; leave one of them out'],
    [
      { steps: { lights: 3, light: 3, lamp: 3 } },
      '"steps" names "lights", which is not a task of the run; did you mean "light"?',
    ],
    [{ learningRate: { light: 0.1 } }, '"learningRate" has no number for task "lamp"'],
    [
      { rank: { light: 2, lamp: 4 }, allocation: 'data' },
      '"allocation" divides a rank among the tasks, but "rank" has one for each; leave one of them out',
    ],
    [{ schedule: 'constant', rateFloor: 0.1 }, '"rateFloor" has no effect on a constant rate; leave it out'],
    [{ optimizer: 'sgd', learningRate: 0.1, beta2: 0.9 }, 'beta2 has no effect with sgd; leave it out'],
    [
      { optimizer: 'sgd', learningRate: 0.1, nesterov: true },
      'nesterov has no effect without momentum; give one, as 0.9',
    ],
    [
      { optimizer: 'lion' },
      '"learningRate" has a default for adamw alone; give one for lion, usually a third to a tenth of that of adamw (0.003)',
    ],
    [
      { earlyStopping: 3, evaluateEverySteps: 5 },
      '"earlyStopping" and "evaluateEverySteps" judge a task by its validation rows, and task "light" has none; name a file under data.validation',
      '"earlyStopping" and "evaluateEverySteps" judge a task by its validation rows, and task "lamp" has none; name a file under data.validation',
    ],
    [{ truncationSide: 'left' }, '"truncationSide" has no effect unless "longRows" is truncate'],
    [{ microBatches: 4, batchSize: 2 }, '"microBatches" is 4, but a batch has only 2 examples'],
    [
      { layers: { lamp: { from: 2, to: 9 } } },
      '"layers" has { from: 2, to: 9 }, but the model has decoder layers 0 to 5',
    ],
  ])('that make no sense together are refused: %j', (config, ...problems) => {
    expect(
      problemsOf(() => {
        checkTrainConfig(config, { tasks, layerCount: 6 });
      }),
    ).toEqual(problems);
  });

  test('that balance the labels are refused for a task without labels', () => {
    const free = tasks.map((task) =>
      task.id === 'lamp' ? { ...task, answer: { type: 'text' } as const } : task,
    );
    const problems = (config: TrainConfig) =>
      problemsOf(() => {
        checkTrainConfig(config, { tasks: free });
      });
    expect(problems({ batches: 'balanced' })).toEqual([
      '"batches" is balanced for task "lamp", whose answers are no labels; name the tasks that it is for, as in { light: balanced }',
    ]);
    expect(problems({ batches: { light: 'balanced' } })).toEqual([]);
  });
});
