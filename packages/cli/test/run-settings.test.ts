import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  answerQuestions,
  evaluateSets,
  fitRows,
  openRun,
  readTestSets,
  type TrainConfig,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { createLocalModel, loadModel, withChatPrompts } from '@contextlora/model';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { contentsOf } from './changing-run.js';
import { baseModel, writeRows } from './light-run.js';
import { runCommand as run } from './run-command.js';

/** A run of this file has the setting at another value than its default; or why none has. */
const shownBy: Readonly<Record<keyof TrainConfig, 'adamw' | 'sgd' | `none: ${string}`>> = {
  seed: 'adamw',
  steps: 'adamw',
  epochs: 'sgd',
  batchSize: 'adamw',
  microBatches: 'adamw',
  batches: 'adamw',
  rank: 'adamw',
  allocation: 'sgd',
  alpha: 'adamw',
  scaling: 'adamw',
  targets: 'adamw',
  layers: 'sgd',
  learningRate: 'adamw',
  schedule: 'adamw',
  warmupSteps: 'adamw',
  warmupShare: 'sgd',
  rateFloor: 'adamw',
  optimizer: 'sgd',
  weightDecay: 'adamw',
  clipNorm: 'adamw',
  beta1: 'adamw',
  beta2: 'adamw',
  epsilon: 'adamw',
  momentum: 'sgd',
  nesterov: 'sgd',
  loraDropout: 'adamw',
  evaluateEverySteps: 'adamw',
  earlyStopping: 'sgd',
  parentAnswers: 'adamw',
  imageDropout: 'none: these tasks have no images; it is read where textDropout is',
  textDropout: 'adamw',
  promptLoss: 'adamw',
  chatTemplate: 'adamw',
  baseFormat: 'adamw',
  packing: 'none: it is refused',
  longRows: 'adamw',
  maximumTokens: 'adamw',
  truncationSide: 'adamw',
  threads: 'none: it decides nothing but the time',
  saveEverySteps: 'none: it decides nothing but what an interruption costs',
};

const limits = { longRows: 'truncate', maximumTokens: 34, truncationSide: 'left' } as const;
const shared = {
  epochs: 3,
  batchSize: 2,
  layers: { from: 1, to: 3 },
  learningRate: 0.5,
  optimizer: 'sgd',
  momentum: 0.5,
  nesterov: true,
  warmupShare: 0.4,
  evaluateEverySteps: 2,
  earlyStopping: 1,
} as const satisfies TrainConfig;
const configs = {
  adamw: {
    ...limits,
    seed: 3,
    steps: { light: 6, lamp: 4 },
    batchSize: 3,
    microBatches: 2,
    batches: 'balanced',
    rank: { light: 4, lamp: 8 },
    alpha: 24,
    scaling: 'rslora',
    targets: ['q_proj', 'v_proj'],
    learningRate: 0.01,
    schedule: 'linear',
    warmupSteps: 2,
    rateFloor: 0.1,
    weightDecay: 0.1,
    clipNorm: 0.5,
    beta1: 0.8,
    beta2: 0.9,
    epsilon: 1e-6,
    loraDropout: 0.2,
    evaluateEverySteps: 2,
    parentAnswers: 'predicted',
    textDropout: { lamp: 0.5 },
    promptLoss: true,
    chatTemplate: true,
    baseFormat: 'int8',
  },
  sgd: { ...shared, allocation: 'uniform', rank: 12 },
} as const satisfies Record<string, TrainConfig>;
type Name = keyof typeof configs;
/** What a run of all tasks is told to be as a changed one: ranks and steps of the new task are the largest. */
const wholeConfigs: Readonly<Record<Name, TrainConfig>> = {
  adamw: { ...configs.adamw, steps: { light: 6, lamp: 4, door: 6 }, rank: { light: 4, lamp: 8, door: 8 } },
  sgd: { ...shared, rank: { light: 6, lamp: 6, door: 6 } },
};

const task = (id: string, labels: string, parent?: string) => `
  - id: ${id}
    instruction: '{text} ${parent === undefined ? '' : `${parent} {${parent}} . `}${id} ?'
    inputs: [text]
    answer: { type: label, labels: [${labels}] }
    ${parent === undefined ? '' : `dependsOn: [${parent}]`}
    data: { train: ${id}.jsonl, validation: ${id}.jsonl, test: ${id}.jsonl }`;
const sources = {
  light: task('light', 'night, sunny'),
  lamp: task('lamp', 'yes, no', 'light'),
  door: task('door', 'open, shut', 'lamp'),
};
const rows = [
  ['the light is low .', 'night', 'yes', 'shut'],
  ['the light is bright .', 'sunny', 'no', 'open'],
  [`${'the road is long and wet and '.repeat(4)}the light is low .`, 'night', 'yes', 'shut'],
] as const;

let directory: string;
const at = (...parts: string[]) => join(directory, ...parts);
const base = () => at('base');

async function train(name: string, config: TrainConfig, tasks: readonly (keyof typeof sources)[]) {
  const file = `version: 1\nname: Light\ntasks:${tasks.map((id) => sources[id]).join('')}\n`;
  await writeFile(at(`${name}.yaml`), file);
  // JSON is YAML.
  await writeFile(at(`${name}.config.yaml`), JSON.stringify(config));
  const where = ['--model', base(), '--data', at('data'), '--out', at(name)];
  const outcome = await run([
    'train',
    at(`${name}.yaml`),
    ...where,
    ...['--config', at(`${name}.config.yaml`)],
  ]);
  expect(outcome).toMatchObject({ code: 0, err: '' });
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'run-settings-'));
  await mkdir(at('data'));
  const answers = ([text, light, lamp, door]: (typeof rows)[number]) => ({
    light: { text, answer: light },
    lamp: { text, parents: { light }, answer: lamp },
    door: { text, parents: { lamp }, answer: door },
  });
  for (const id of ['light', 'lamp', 'door'] as const)
    await writeRows(
      at('data', `${id}.jsonl`),
      rows.map((row) => answers(row)[id]),
    );
  await cp(baseModel, base(), { recursive: true });
  const settings = JSON.parse(await readFile(join(base(), 'tokenizer_config.json'), 'utf8')) as object;
  const template = '{% for message in messages %}a driver asks : {{ message.content }} {% endfor %}so';
  await writeFile(
    join(base(), 'tokenizer_config.json'),
    JSON.stringify({ ...settings, chat_template: template }),
  );
  for (const name of ['adamw', 'sgd'] as const) await train(name, configs[name], ['light', 'lamp']);
}, 60_000);
afterAll(() => rm(directory, { recursive: true, force: true }));

const weightsOf = async (out: string) =>
  Object.fromEntries(
    Object.entries(await contentsOf(out)).filter(([path]) => /^(partition|adapters)\//.test(path)),
  );

describe('the settings of a run', () => {
  test('are all tried here, each in the run that is named', () => {
    for (const name of ['adamw', 'sgd'] as const)
      for (const [key, shown] of Object.entries(shownBy))
        if (shown === name) expect(Object.keys(configs[name])).toContain(key);
  });

  test('hold for its questions, and those that are longer than its rows are refused', async () => {
    const model = await reference();
    const question = { task: 'lamp', text: 'the light is low .' };
    for await (const answers of answerQuestions(model.local, model.opened.graph, [question])) {
      const asked = await run(['ask', at('adamw'), '--task', 'lamp', '--text', question.text, '--json']);
      const { probability } = JSON.parse(asked.out) as { probability: number };
      expect(probability).toBe(answers.at(-1)?.probability);
    }
    const long = await run(['ask', at('adamw'), '--task', 'light', '--text', rows[2][0]]);
    expect(long).toMatchObject({ code: 2, err: expect.stringContaining('at most 34 are allowed') });
    await model[Symbol.asyncDispose]();
  });

  test('hold for its test sets: each row is cut as in training', async () => {
    const model = await reference();
    const { opened, local, loaded } = model;
    const read = await readTestSets(opened, { tasks: opened.trainedTasks, dataDirectory: at('data') });
    const fitting = fitRows(loaded, read, limits);
    let fitted = await fitting.next();
    while (!fitted.done) fitted = await fitting.next();
    expect(fitted.value.changes).toHaveLength(2);
    const measuring = evaluateSets(local, fitted.value.data);
    let measured = await measuring.next();
    while (!measured.done) measured = await measuring.next();
    const outcome = await run(['eval', at('adamw'), '--json', at('eval.json')]);
    expect(outcome).toMatchObject({ code: 0, err: '' });
    expect(outcome.out).toMatch(/1 of 3 rows of the test set "test" are longer than 34 tokens/);
    const written = JSON.parse(await readFile(at('eval.json'), 'utf8')) as { sets: unknown };
    expect(written.sets).toEqual(JSON.parse(JSON.stringify(measured.value)));
    const refused = await run(['eval', at('adamw'), '--long-rows', 'refuse']);
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('at most 34 are allowed') });
    await model[Symbol.asyncDispose]();
  });

  test('hold for a chat with one of its adapters, unless another model is named', async () => {
    const chat = (...more: string[]) =>
      run([
        ...['chat', '--adapter', at('adamw'), '--task', 'light', '--prompt', 'the road', '--plain'],
        ...['--temperature', '3', '--max-tokens', '60', ...more],
      ]);
    const [own, named] = [await chat(), await chat('--model', base())];
    expect([own.code, named.code]).toEqual([0, 0]);
    expect(own.out).not.toBe(named.out);
  });

  test('are said to whoever exports it, where no file has a place for them', async () => {
    const out = at('exported');
    const outcome = await run(['export', at('adamw'), '--format', 'peft', '--out', out]);
    expect(outcome).toMatchObject({ code: 0, err: '' });
    expect(outcome.out).toContain("Trained through the base's chat template: prompts need it.");
    expect(outcome.out).toContain('Trained on the base in int8: ');
    const plain = await run(['export', at('sgd'), '--format', 'peft', '--out', at('exported-sgd')]);
    expect(plain.out).not.toContain('Trained');
  });

  test.each<Name>(['adamw', 'sgd'])(
    'hold for an added task: with those of %s it ends as a run of all tasks',
    async (name) => {
      await train(`${name}-whole`, wholeConfigs[name], ['light', 'lamp', 'door']);
      const changed = at(`${name}-changed`);
      await cp(at(name), changed, { recursive: true });
      const tasks = ['--tasks', at(`${name}-whole.yaml`), '--data', at('data'), '--yes'];
      expect(await run(['add-task', changed, ...tasks])).toMatchObject({ code: 0, err: '' });
      expect(await weightsOf(changed)).toEqual(await weightsOf(at(`${name}-whole`)));
      const [after, before] = [await openRun(changed), await openRun(at(`${name}-whole`))];
      expect(after.settings).toEqual(before.settings);
      expect(after.rowLimits).toEqual(before.rowLimits);
    },
  );

  /** The first run as the library answers with it. */
  async function reference() {
    const opened = await openRun(at('adamw'));
    const plain = await loadModel(base(), { kernels: await openKernels(), base: 'int8' });
    const loaded = withChatPrompts(plain);
    const local = createLocalModel(loaded, opened);
    return {
      opened,
      loaded,
      local,
      async [Symbol.asyncDispose]() {
        await local[Symbol.asyncDispose]();
        plain.dispose();
      },
    };
  }
});
