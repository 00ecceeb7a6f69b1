import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describeInputs, digestRows, readTaskData, readTaskFile } from '@contextlora/finetune';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { taskFile, writeScenario } from './light-scenario.js';

const settings = { seed: 3, rank: 8, steps: { light: 12, lamp: 16 }, batchSize: 2, learningRate: 1e-2 };
const model = { configuration: 'c'.repeat(64), weights: 'd'.repeat(64), tokenizer: 'e'.repeat(64) };

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'finetune-inputs-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Pictures of one pixel: red, blue, and one with transparency. */
const [red, blue, clear] = [
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAADElEQVQImWP4z8AAAAMBAQCc479ZAAAAAElFTkSuQmCC',
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAADElEQVQImWNgYPgPAAEDAQBdlO9aAAAAAElFTkSuQmCC',
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
].map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer, Buffer];

/** Two tasks whose light rows have pictures, as have the test rows of the lamp, for which the light is predicted. */
const withPictures = taskFile.replace('inputs: [text]', 'inputs: [text, image]');
const light = (image: string, answer: string) => `${JSON.stringify({ image, text: 'a', answer })}\n`;
let count = 0;
async function scenario({ tasks = withPictures, files = {} } = {}): Promise<string> {
  const folder = join(directory, `scenario-${count++}`);
  const path = await writeScenario(folder, {
    tasks,
    files: {
      'light.train.jsonl': light('one.png', 'night') + light('two.png', 'sunny'),
      'light.test.jsonl': light('one.png', 'night'),
      'light.other.jsonl': light('two.png', 'sunny'),
      'lamp.test.jsonl': `${JSON.stringify({ image: 'one.png', text: 'a', parents: { light: 'night' }, answer: 'yes' })}\n`,
      ...files,
    },
  });
  await writeFile(join(folder, 'one.png'), red);
  await writeFile(join(folder, 'two.png'), blue);
  return path;
}
async function inputsOf(path: string): Promise<Readonly<Record<string, string>>> {
  const data = await readTaskData(path);
  const rows = digestRows(data);
  for (;;) {
    const next = await rows.next();
    if (next.done) return { ...describeInputs({ settings, file: data.file, model }), ...next.value };
    expect(next.value.done).toBeLessThanOrEqual(next.value.total);
  }
}
test('a sound counts by its bytes, and a run without sounds is what it was before there were any', async () => {
  const header = Buffer.alloc(44);
  header.write('RIFF');
  header.writeUInt32LE(40, 4);
  header.write('WAVEfmt ', 8);
  // One channel of 16 bits and 16 kHz.
  for (const [at, value] of [[16, 16], [20, 0x10001], [24, 16_000], [28, 32_000], [32, 0x100002], [40, 4]] as const) header.writeUInt32LE(value, at); // prettier-ignore
  header.write('data', 36);
  const heard = taskFile.replace('inputs: [text]', 'inputs: [text, audio]');
  const row = `${JSON.stringify({ audio: 'one.wav', text: 'a', answer: 'night' })}\n`;
  const files = {
    'light.train.jsonl': row,
    'light.test.jsonl': row,
    'light.other.jsonl': row,
    'lamp.test.jsonl': `${JSON.stringify({ audio: 'one.wav', text: 'a', parents: { light: 'night' }, answer: 'yes' })}\n`,
  };
  const [first, same, other] = [
    await scenario({ tasks: heard, files }),
    await scenario({ tasks: heard, files }),
    await scenario({ tasks: heard, files }),
  ];
  const write = (path: string, last: number) =>
    writeFile(join(path, '..', 'one.wav'), Buffer.concat([header, Buffer.from([1, 2, 3, last])]));
  await write(first, 0);
  await write(same, 0);
  await write(other, 9);
  expect(await differing(first, same)).toEqual([]);
  expect(await differing(first, other)).toEqual([
    'the training rows of task "light"',
    'the test rows "test" of task "light"',
    'the test rows "other" of task "light"',
    'the test rows "test" of task "lamp"',
  ]);
});

/** Names of the inputs in which two runs differ. */
async function differing(first: string, second: string): Promise<string[]> {
  const [one, two] = [await inputsOf(first), await inputsOf(second)];
  return [...new Set([...Object.keys(one), ...Object.keys(two)])].filter((name) => one[name] !== two[name]);
}

describe("a run's inputs", () => {
  test('have names for messages, and short values as they are', async () => {
    expect(await inputsOf(await scenario())).toEqual({
      'the seed': '3',
      'the rank': '8',
      'the steps': 'lamp 16, light 12',
      'the batch size': '2',
      'the learning rate': '0.01',
      'the order of the tasks': 'light, lamp',
      'the name in the task file': 'Light',
      'the definition of task "light"': expect.stringMatching(/^[0-9a-f]{64}$/),
      'the definition of task "lamp"': expect.stringMatching(/^[0-9a-f]{64}$/),
      "the model's configuration": model.configuration,
      "the model's weights": model.weights,
      "the model's tokenizer": model.tokenizer,
      'the training rows of task "light"': expect.stringMatching(/^[0-9a-f]{64}$/),
      'the test rows "test" of task "light"': expect.stringMatching(/^[0-9a-f]{64}$/),
      'the test rows "other" of task "light"': expect.stringMatching(/^[0-9a-f]{64}$/),
      'the training rows of task "lamp"': expect.stringMatching(/^[0-9a-f]{64}$/),
      'the test rows "test" of task "lamp"': expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  test('are the same where files were moved, renamed or written in another way', async () => {
    const first = await scenario();
    const moved = join(directory, 'moved');
    await cp(join(first, '..'), moved, { recursive: true });
    expect(await differing(first, join(moved, 'tasks.yaml'))).toEqual([]);
    const renamed = await scenario({
      tasks: withPictures
        .replaceAll('light.train.jsonl', './light.test.jsonl')
        .replace(
          'dependsOn: [light]\n    instruction: ',
          'dependsOn: [ "light" ]\n    instruction: # a comment\n      ',
        ),
      files: {
        'light.test.jsonl':
          `\n{"answer":"night", "text":"a", "image":"./one.png"}\n` + light('../' + 'copy/two.png', 'sunny'),
      },
    });
    await cp(join(renamed, '..'), join(directory, 'copy'), { recursive: true });
    expect(await differing(first, renamed)).toEqual(['the test rows "test" of task "light"']);
  });

  const lamp = (given: string, answer: string) =>
    `${JSON.stringify({ text: 'b', parents: { light: given }, answer })}\n`;
  const base = { 'lamp.train.jsonl': lamp('night', 'yes') + lamp('sunny', 'no') };
  test.each([
    ['exchanged answers', lamp('night', 'no') + lamp('sunny', 'yes')],
    ['exchanged rows', lamp('sunny', 'no') + lamp('night', 'yes')],
    ["another parent's answer", lamp('night', 'yes') + lamp('night', 'no')],
    ['another text', (lamp('night', 'yes') + lamp('sunny', 'no')).replace('"b"', '"b "')],
    ['a row less', lamp('night', 'yes')],
  ])('notice %s', async (_, changed) => {
    const [first, second] = [
      await scenario({ files: base }),
      await scenario({ files: { 'lamp.train.jsonl': changed } }),
    ];
    expect(await differing(first, second)).toEqual(['the training rows of task "lamp"']);
  });

  test('notice a changed picture, in every set of rows that shows it', async () => {
    const [first, second] = [await scenario(), await scenario()];
    await writeFile(join(second, '..', 'two.png'), clear);
    expect(await differing(first, second)).toEqual([
      'the training rows of task "light"',
      'the test rows "other" of task "light"',
    ]);
  });

  test('notice other validation rows', async () => {
    const tasks = withPictures.replace(
      '{ train: lamp.train.jsonl,',
      '{ train: lamp.train.jsonl, validation: lamp.other.jsonl,',
    );
    const paths = [await scenario({ tasks }), await scenario({ tasks })] as const;
    for (const [i, path] of paths.entries())
      await writeFile(
        join(path, '..', 'lamp.other.jsonl'),
        `${JSON.stringify({ image: 'one.png', text: `${i}`, parents: { light: 'night' }, answer: 'yes' })}\n`,
      );
    expect(await differing(...paths)).toEqual(['the validation rows of task "lamp"']);
  });

  test.each<[string, (yaml: string) => string, string[]]>([
    [
      'an instruction',
      (yaml) => yaml.replace("'{text} light ?'", "'{text} light now ?'"),
      ['the definition of task "light"'],
    ],
    [
      'the order of labels',
      (yaml) => yaml.replace('[yes, no]', '[no, yes]'),
      ['the definition of task "lamp"'],
    ],
    [
      'the name of the file',
      (yaml) => yaml.replace('name: Light', 'name: Lamps'),
      ['the name in the task file'],
    ],
    [
      'the name of a test',
      (yaml) => yaml.replace('other:', 'second:'),
      [
        'the definition of task "light"',
        'the test rows "other" of task "light"',
        'the test rows "second" of task "light"',
      ],
    ],
  ])('notice in a task file: %s', async (_, change, expected) => {
    const [first, second] = [await scenario(), await scenario({ tasks: change(withPictures) })];
    expect(await differing(first, second)).toEqual(expected);
  });

  test('notice every setting, every part of the model and whatever else a caller names', async () => {
    const { file } = await readTaskFile(await scenario());
    const before = describeInputs({ settings, file, model });
    const changes = {
      'the seed': { settings: { ...settings, seed: 4 } },
      'the steps': { settings: { ...settings, steps: { light: 12, lamp: 17 } } },
      'the learning rate': { settings: { ...settings, learningRate: 0.011 } },
      "the model's weights": { model: { ...model, weights: 'f'.repeat(64) } },
      'the version': { others: { 'the version': '2' } },
    };
    for (const [name, change] of Object.entries(changes)) {
      const after = describeInputs({ settings, file, model, ...change });
      expect(Object.keys(after).filter((key) => after[key] !== before[key])).toEqual([name]);
    }
  });

  test('name a picture that cannot be read', async () => {
    const path = await scenario();
    const data = await readTaskData(path);
    await rm(join(path, '..', 'one.png'));
    await expect(digestRows(data).next()).rejects.toMatchObject({
      code: 'FINETUNE_DATA_INVALID',
      message: expect.stringContaining('one.png'),
    });
  });
});
