import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  fitRows,
  type FitRowsOptions,
  type FittedData,
  FinetuneError,
  prepareRun,
  type ReadTaskData,
  readTaskData,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { labelIds, type LoadedModel, loadModel, promptIds } from '@contextlora/model';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { taskFile, writeScenario } from './light-scenario.js';

const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);
const settings = { seed: 0, rank: 2, steps: 1, batchSize: 1, learningRate: 1e-3 };

let directory: string;
let base: LoadedModel;
/** The most words that a row of the task `light` can have. */
let most: number;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fit-rows-'));
  base = await loadModel(baseModel, { kernels: await openKernels({ threads: 1 }) });
  const label = Math.max(...labelIds(base, ['night', 'sunny']).map((ids) => ids.length - 1));
  most = base.rotary.time - label - promptIds(base, { prompt: 'light ?' }).length;
  expect(promptIds(base, { prompt: `${words(most)} light ?` })).toHaveLength(base.rotary.time - label);
});
afterAll(async () => {
  base.dispose();
  await rm(directory, { recursive: true, force: true });
});

const words = (count: number) => new Array<string>(count).fill('the').join(' ');
const line = (row: object) => `${JSON.stringify(row)}\n`;
const light = (count: number) => line({ text: words(count), answer: 'night' });
const lamp = (count: number) => line({ text: words(count), parents: { light: 'night' }, answer: 'yes' });

async function read(
  name: string,
  { files, tasks = taskFile }: { files: Record<string, string>; tasks?: string },
): Promise<ReadTaskData> {
  return readTaskData(await writeScenario(join(directory, name), { files, tasks }));
}

async function fit(data: ReadTaskData, options: FitRowsOptions = {}): Promise<FittedData> {
  const rows = fitRows(base, data, options);
  for (;;) {
    const next = await rows.next();
    if (next.done) return next.value;
    expect(next.value.done).toBeLessThanOrEqual(next.value.total);
  }
}

async function problemsOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof FinetuneError && error.code === 'FINETUNE_DATA_INVALID')
      return error.message.replaceAll(/\S*\/(\w+\.\w+\.jsonl)/g, '$1');
    throw error;
  }
  return '';
}

describe('rows that are longer than the context of the model', () => {
  test('are found to the token, in every split, with file, line, tokens and limit', async () => {
    const data = await read('found', {
      files: {
        'light.train.jsonl': light(1) + light(most) + light(most + 1),
        'light.test.jsonl': light(most) + light(most + 5),
        'light.other.jsonl': light(2),
      },
      tasks: taskFile.replace(
        'train: lamp.train.jsonl,',
        'train: lamp.train.jsonl, validation: lamp.test.jsonl,',
      ),
    });
    const expected =
      /2 problems in 2 files:\nlight\.train\.jsonl:\n {2}line 3: the row has 513 tokens with the answer, but the model has 512 positions\nlight\.test\.jsonl:\n {2}line 2: the row has 517 tokens [^\n]*\nshorten them, or choose/;
    expect(await problemsOf(() => fit(data))).toMatch(expected);
    expect(await problemsOf(() => prepareRun(base, data, { settings }))).toMatch(expected);
    const fitting = await read('fitting', { files: { 'light.train.jsonl': light(most) } });
    expect(await fit(fitting)).toEqual({ data: fitting, changes: [] });
  });

  test('count the longest label of a parent where it is asked, and the right one in training', async () => {
    // One token more than "night".
    const tasks = taskFile.replaceAll('sunny', 'sunny rain');
    const given = promptIds(base, { prompt: 'light night . lamp ?' }).length;
    const room = base.rotary.time - 1 - given;
    const fresh = {
      'light.train.jsonl': light(1),
      'light.test.jsonl': light(1),
      'light.other.jsonl': light(1),
    };
    const trained = await read('parents-train', {
      tasks,
      files: { ...fresh, 'lamp.train.jsonl': lamp(room), 'lamp.test.jsonl': lamp(1) },
    });
    expect((await fit(trained)).changes).toEqual([]);
    const asked = await read('parents-test', {
      tasks,
      files: { ...fresh, 'lamp.train.jsonl': lamp(1), 'lamp.test.jsonl': lamp(room - 1) + lamp(room) },
    });
    expect(await problemsOf(() => fit(asked))).toMatch(
      /a problem in a file:\nlamp\.test\.jsonl:\n {2}line 2: the row has 513 tokens/,
    );
  });

  test('count as many tokens as may be written for a parent with free answers', async () => {
    const tasks = taskFile.replace('{ type: label, labels: [night, sunny] }', '{ type: text }');
    const data = await read('free', {
      tasks,
      files: {
        'light.test.jsonl': light(1),
        'light.other.jsonl': light(1),
        'lamp.test.jsonl': lamp(400),
      },
    });
    expect(await problemsOf(() => fit(data))).toMatch(
      /lamp\.test\.jsonl:\n {2}line 1: the row has \d+ tokens/,
    );
    expect((await fit(data, { maximumNewTokens: 32 })).changes).toEqual([]);
  });

  test('count the questions for the parents too', async () => {
    const instruction = "'{text} light ?'";
    const tasks = taskFile
      .replace(instruction, `'${words(300)} {text} light ?'`)
      .replace("'{text} light {light} . lamp ?'", "'light {light} . lamp ?'");
    const data = await read('chain', { tasks, files: { 'lamp.test.jsonl': lamp(300) } });
    expect(await problemsOf(() => fit(data))).toMatch(
      /lamp\.test\.jsonl:\n {2}line 1: its question for task "light" has \d+ tokens with the answer/,
    );
  });

  test('are left out of training by choice, and said; rows to be answered never are', async () => {
    const data = await read('skip', {
      files: { 'light.train.jsonl': light(1) + light(600) + light(2), 'light.test.jsonl': light(3) },
    });
    const fitted = await fit(data, { longRows: 'skip' });
    expect(fitted.changes).toEqual([
      { task: 'light', rows: 'training rows', change: 'skipped', changed: 1, of: 3 },
    ]);
    expect([...(fitted.data.rows['light']?.train ?? [])].map(({ text }) => text)).toEqual([
      words(1),
      words(2),
    ]);
    expect(fitted.data.sources?.['light']?.train?.lines).toEqual([1, 3]);
    expect(fitted.data.rows['light']?.tests).toEqual(data.rows['light']?.tests);
    expect(prepareRun(base, fitted.data, { settings }).data).toBe(fitted.data);

    const test = await read('skip-test', { files: { 'light.test.jsonl': light(600) } });
    expect(await problemsOf(() => fit(test, { longRows: 'skip' }))).toMatch(
      /light\.test\.jsonl:\n {2}line 1: [^]*rows to be answered are not skipped/,
    );
    // Short rows beside a long one: it is not left out, so that the accuracy is not that of easier rows.
    const mixed = await read('skip-mixed', {
      files: { 'light.test.jsonl': light(1) + light(600) + light(2) },
    });
    expect(await problemsOf(() => fit(mixed, { longRows: 'skip' }))).toMatch(
      /a problem in a file:\n.*light\.test\.jsonl:\n {2}line 2: the row has \d+ tokens/,
    );
    const all = await read('skip-all', { files: { 'light.train.jsonl': light(600) } });
    expect(await problemsOf(() => fit(all, { longRows: 'skip' }))).toMatch(/all rows are too long/);
  });

  test('are cut at the end of their text by choice, to as much as fits, and said for each test set', async () => {
    const numbered = Array.from({ length: 600 }, (_, i) => (i % 2 === 0 ? 'the' : 'light')).join(' ');
    const data = await read('cut', {
      files: {
        'light.train.jsonl': light(2) + line({ text: numbered, answer: 'night' }),
        'light.test.jsonl': light(600) + light(3),
        'light.other.jsonl': light(1),
        'lamp.test.jsonl': lamp(600),
      },
    });
    const { data: cut, changes } = await fit(data, { longRows: 'truncate' });
    expect(changes).toEqual([
      { task: 'light', rows: 'training rows', change: 'truncated', changed: 1, of: 2 },
      { task: 'light', rows: 'rows of the test set "test"', change: 'truncated', changed: 1, of: 2 },
      { task: 'lamp', rows: 'rows of the test set "test"', change: 'truncated', changed: 1, of: 1 },
    ]);
    const text = cut.rows['light']?.train.at(1)?.text ?? '';
    expect(numbered.startsWith(text)).toBe(true);
    expect(promptIds(base, { prompt: `${text} light ?` })).toHaveLength(511);
    expect(cut.rows['light']?.train.at(1)?.answer).toBe('night');
    expect((await fit({ ...data, ...cut }, {})).changes).toEqual([]);
  });

  test('cannot be cut where the instruction or the answer alone is too long', async () => {
    const instruction = await read('long-instruction', {
      tasks: taskFile.replace("'{text} light ?'", `'{text} ${words(520)} light ?'`),
      files: {},
    });
    expect(await problemsOf(() => fit(instruction, { longRows: 'truncate' }))).toMatch(
      /these cannot be fitted by cutting their text/,
    );
    const tasks = taskFile.replace('{ type: label, labels: [yes, no] }', '{ type: text }');
    const row = (count: number) => line({ text: 'a', parents: { light: 'night' }, answer: words(count) });
    const answer = await read('long-answer', { tasks, files: { 'lamp.train.jsonl': row(128) + row(129) } });
    for (const longRows of ['refuse', 'truncate'] as const)
      expect(await problemsOf(() => fit(answer, { longRows }))).toMatch(
        /a problem in a file:\nlamp\.train\.jsonl:\n {2}line 2: the answer has 129 tokens, but answers are written with at most 128/,
      );
  });

  test('that spell the token of a picture are refused with their line, and are not skipped as too long', async () => {
    const spelt = line({ text: 'an <image> of it', answer: 'night' });
    const data = await read('spelt', { files: { 'light.train.jsonl': light(3) + spelt } });
    for (const longRows of ['refuse', 'skip', 'truncate'] as const)
      expect(await problemsOf(() => fit(data, { longRows }))).toMatch(
        /a problem in a file:\nlight\.train\.jsonl:\n {2}line 2: the row spells "<image>", which stands for a picture in this model; reword it$/,
      );
  });

  test('are named by their number where they come from no file', async () => {
    const { file, graph, rows } = await read('memory', {
      files: { 'light.train.jsonl': light(1) + light(600) },
    });
    expect(await problemsOf(() => prepareRun(base, { file, graph, rows }, { settings }))).toMatch(
      /the training rows of task "light":\n {2}line 2: the row has/,
    );
  });
});
