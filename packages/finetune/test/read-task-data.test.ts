import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { FinetuneError, imagesOf, mainTestOf, mainTestRows, readTaskData } from '@contextlora/finetune';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { taskFile, writeScenario } from './light-scenario.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'finetune-data-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const failureOf = async (work: Promise<unknown>): Promise<FinetuneError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof FinetuneError) return error;
  throw new Error('expected a FinetuneError', { cause: error });
};

describe('readTaskData', () => {
  test('reads the rows of every task by purpose, next to the task file or in another directory', async () => {
    const path = await writeScenario(join(directory, 'good'));
    const data = await readTaskData(path);
    expect(data.file.name).toBe('Light');
    expect(data.graph.nodes()).toEqual(['light', 'lamp']);
    expect(data.rows['light']?.train).toEqual([
      { text: 'the light is low .', parents: {}, answer: 'night' },
      { text: 'the light is bright .', parents: {}, answer: 'sunny' },
    ]);
    expect(data.rows['light']?.validation).toEqual([]);
    expect(Object.keys(data.rows['light']?.tests ?? {})).toEqual(['test', 'other']);

    const moved = join(directory, 'moved.yaml');
    await rename(path, moved);
    expect(await readTaskData(moved, { dataDirectory: join(directory, 'good') })).toMatchObject({
      rows: data.rows,
    });
  });

  test('takes the first test set as the main one', async () => {
    const data = await readTaskData(await writeScenario(join(directory, 'main')));
    expect(mainTestOf(data, 'light')).toBe('test');
    expect(mainTestRows(data, 'light')).toHaveLength(2);
    const without = { ...data, rows: { ...data.rows, light: { ...data.rows['light']!, tests: {} } } };
    expect(mainTestOf(without, 'light')).toBe('');
    expect(mainTestRows(without, 'light')).toEqual([]);
  });

  test('names every image once', async () => {
    const image = (name: string) => `${JSON.stringify({ image: name, text: '', answer: 'night' })}\n`;
    const data = await readTaskData(
      await writeScenario(join(directory, 'images'), {
        files: {
          'light.train.jsonl': image('a.png') + image('b.png'),
          'light.other.jsonl': image('b.png') + image('c.png'),
        },
      }),
    );
    expect(imagesOf(data).sort()).toEqual(
      ['a.png', 'b.png', 'c.png'].map((name) => join(directory, 'images', name)),
    );
  });

  test('lists the problems of all data files at once', async () => {
    const path = await writeScenario(join(directory, 'bad'), {
      tasks: taskFile
        .replace('light.other.jsonl', 'missing.jsonl')
        .replace('{ train: lamp.train.jsonl, test:', '{ test:'),
      files: {
        'light.train.jsonl': '{"text":"","answer":"dark"}\nnot json\n',
        'lamp.test.jsonl': '{"text":"","answer":"yes"}\n',
      },
    });
    const error = await failureOf(readTaskData(path));
    expect(error.code).toBe('FINETUNE_DATA_INVALID');
    expect(error.problems).toEqual([
      expect.stringMatching(/missing\.jsonl:\n {2}no such file/),
      expect.stringMatching(/light\.train\.jsonl:\n {2}line 1: answer "dark"[^]*\n {2}line 2: not JSON/),
      expect.stringMatching(/lamp\.test\.jsonl:\n {2}line 1: [^]*"light"/),
      expect.stringMatching(/task "lamp" of .* names no training data/),
    ]);
    for (const problem of error.problems) expect(error.message).toContain(problem);
  });

  test('says which task file it cannot read', async () => {
    const error = await failureOf(readTaskData(join(directory, 'nowhere.yaml')));
    expect(error.code).toBe('FINETUNE_TASK_FILE_UNREADABLE');
    expect(error.message).toContain(join(directory, 'nowhere.yaml'));
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });
});
