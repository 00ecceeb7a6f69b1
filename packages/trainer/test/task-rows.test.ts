import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { accuracy, answerSlots, composeAnswers, macroAverage, parseTaskRows } from '@contextlora/trainer';
import { readTaskRows } from '@contextlora/trainer/files';

import { FakeModel } from './fake-model.js';
import { sceneGraph, sceneTasks } from './scene-tasks.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rows-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const road = sceneTasks[2]!;

async function fileOf(lines: unknown[]): Promise<string> {
  const path = join(directory, `${lines.length}-${Math.abs(JSON.stringify(lines).length)}.jsonl`);
  await writeFile(
    path,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
  return path;
}

test('rows are read with their image paths relative to the folder of the file', async () => {
  const path = await fileOf([{ image: 'a/1.png', parents: { weather: 'yes' }, answer: 'no' }]);
  expect(await readTaskRows(path, road)).toEqual([
    { image: join(directory, 'a/1.png'), text: '', parents: { weather: 'yes' }, answer: 'no' },
  ]);
});

test('rows are parsed from text without a file, for a browser, with image paths as written', () => {
  const row = { image: 'a/1.png', text: '', parents: { weather: 'yes' }, answer: 'no' };
  expect(parseTaskRows(`\n${JSON.stringify(row)}\n`, road)).toEqual([row]);
  expect(() => parseTaskRows('', road)).toThrow(
    expect.objectContaining({ code: 'TRAINER_DATA_INVALID', problems: ['the file has no rows'] }),
  );
});

test('every bad line is named at once', async () => {
  const path = await fileOf([
    '{',
    { parents: { weather: 'yes' }, answer: 'maybe' },
    { answer: 'yes' },
    { parents: { weather: 'no' }, answer: 'yes' },
    { parents: { weather: 'no' }, answer: 3 },
  ]);
  await expect(readTaskRows(path, road)).rejects.toThrow(
    /line 1: not JSON[\s\S]*line 2: answer "maybe" is not a label of task "road" \(yes, no\)[\s\S]*line 3: the instruction of "road" has a slot for "weather"[\s\S]*line 5: "answer" must be a string, got number/,
  );
});

test('a missing file says which task names it', async () => {
  await expect(readTaskRows(join(directory, 'none.jsonl'), road)).rejects.toThrow(
    /no such file; task "road" names it/,
  );
});

test('a file that cannot be read is not said to be missing', async () => {
  const path = join(directory, 'self.jsonl');
  await symlink(path, path);
  await expect(readTaskRows(path, road)).rejects.toThrow(/cannot be read \(ELOOP\)/);
});

test('a pipe or a device is not said to be missing, and is not waited for', async () => {
  await expect(readTaskRows('/dev/null', road)).rejects.toThrow(/not a file, but a pipe or a device/);
});

test('only direct slots are asked for', () => {
  expect(answerSlots(sceneTasks[3]!)).toEqual(['vehicle', 'road']);
});

test('a composed answer carries every intermediate answer, each given to the next', async () => {
  const answers = await composeAnswers(
    new FakeModel([]),
    sceneGraph(),
    'strategy',
    [{ text: 'limit 80 .' }],
    {
      exampleOf: (_, prompt) => ({ prompt, answer: '' }),
    },
  );
  expect(Object.keys(answers)).toEqual(['vehicle', 'weather', 'road', 'strategy']);
  expect(answers['road']?.[0]?.answer).toBe('road(weather weather(weather ?) . road ?)');
  expect(answers['strategy']?.[0]?.answer).toBe(
    'strategy(limit 80 . vehicle vehicle(traffic ?) . road road(weather weather(weather ?) . road ?) . do ?)',
  );
});

test('accuracy refuses lists of unequal length', () => {
  expect(accuracy(['a', 'b'], ['a', 'c'])).toBe(0.5);
  expect(macroAverage([0.5, 1])).toBe(0.75);
  expect(() => accuracy(['a'], [])).toThrow('trainer/accuracy');
});
