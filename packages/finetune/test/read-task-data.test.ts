import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { FinetuneError, imagesOf, mainTestOf, mainTestRows, readTaskData } from '@contextlora/finetune';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { taskFile, writeScenario } from './light-scenario.js';

/** The second task of the scenario. */
const lampPart = taskFile.slice(taskFile.indexOf('  - id: lamp'));
/** A picture of one pixel. */
const dot = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

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

describe('sounds', () => {
  /** A WAV of silence, with so many samples of 16 bits. */
  const wav = (samples: number, rate = 16_000) => {
    const bytes = Buffer.alloc(44 + 2 * samples);
    bytes.write('RIFF', 0);
    bytes.writeUInt32LE(36 + 2 * samples, 4);
    bytes.write('WAVEfmt ', 8);
    for (const [at, value] of [[16, 16], [24, rate], [28, 2 * rate], [40, 2 * samples]] as const) bytes.writeUInt32LE(value, at); // prettier-ignore
    for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]] as const) bytes.writeUInt16LE(value, at); // prettier-ignore
    bytes.write('data', 36);
    return bytes;
  };
  const heard = taskFile.replace('inputs: [text]', 'inputs: [text, audio]');
  const light = (audio: string) => `${JSON.stringify({ audio, text: 'a', answer: 'night' })}\n`;

  test('are checked once before training, where they are first named, and their lengths are known', async () => {
    const folder = join(directory, 'sounds');
    const path = await writeScenario(folder, {
      tasks: heard,
      files: {
        'light.train.jsonl': light('good.wav') + light('short.wav') + light('none.wav') + light('none.wav'),
        'light.test.jsonl': light('slow.wav'),
        'light.other.jsonl': light('good.wav'),
        'lamp.test.jsonl': `${JSON.stringify({ audio: 'good.wav', text: 'a', parents: { light: 'night' }, answer: 'yes' })}\n`,
      },
    });
    await writeFile(join(folder, 'good.wav'), wav(1600));
    await writeFile(join(folder, 'slow.wav'), wav(801, 8000));
    await writeFile(join(folder, 'short.wav'), wav(100).subarray(0, 100));
    const { problems } = await failureOf(readTaskData(path));
    expect(problems.map((problem) => problem.replaceAll(`${folder}/`, '').replace(/\s+/g, ' '))).toEqual([
      expect.stringMatching(
        /^light\.train\.jsonl: line 2: .*short\.wav as a sound: it is a WAV that is cut short line 3 \(and 1 more rows\): .*none\.wav as a sound: it cannot be opened/,
      ),
    ]);
    for (const name of ['short.wav', 'none.wav']) await writeFile(join(folder, name), wav(320));
    const { sounds, rows } = await readTaskData(path);
    expect([...sounds].map(([file, samples]) => [file.replace(`${folder}/`, ''), samples])).toEqual(
      expect.arrayContaining([
        ['good.wav', 1600],
        ['slow.wav', 1602],
        ['short.wav', 320],
      ]),
    );
    expect(rows['light']?.train.at(0)).toMatchObject({ audio: join(folder, 'good.wav') });
  });
});

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
    const image = (name: string) => `${JSON.stringify({ image: name, text: 'a', answer: 'night' })}\n`;
    const folder = join(directory, 'images');
    const path = await writeScenario(folder, {
      tasks: taskFile.replace('inputs: [text]', 'inputs: [image, text]').replace(lampPart, ''),
      files: {
        'light.train.jsonl': image('a.png') + image('b.png'),
        'light.test.jsonl': image('a.png'),
        'light.other.jsonl': image('b.png') + image('c.png'),
      },
    });
    for (const name of ['a.png', 'b.png', 'c.png']) await writeFile(join(folder, name), dot);
    const data = await readTaskData(path);
    expect(imagesOf(data).sort()).toEqual(['a.png', 'b.png', 'c.png'].map((name) => join(folder, name)));
  });

  test('lists the problems of all data files at once, by file and line', async () => {
    const path = await writeScenario(join(directory, 'bad'), {
      tasks: taskFile
        .replace('light.other.jsonl', 'missing.jsonl')
        .replace('{ train: lamp.train.jsonl, test:', '{ test:'),
      files: {
        'light.train.jsonl': '{"text":"a","answer":"dark"}\nnot json\n',
        'lamp.test.jsonl':
          '{"text":"a","answer":"yes"}\n{"text":"a","parents":{"light":"dim"},"answer":"yes"}\n',
      },
    });
    const error = await failureOf(readTaskData(path));
    expect(error.code).toBe('FINETUNE_DATA_INVALID');
    expect(error.problems).toEqual([
      expect.stringMatching(/light\.train\.jsonl:\n {2}line 1: answer "dark"[^]*\n {2}line 2: not JSON/),
      expect.stringMatching(/missing\.jsonl:\n {2}no such file/),
      expect.stringMatching(
        /lamp\.test\.jsonl:\n {2}line 1: [^]*"light"[^]*\n {2}line 2: the answer of "light" in "parents" "dim" is not a label of task "light"/,
      ),
      expect.stringMatching(/tasks\.yaml:\n {2}task "lamp" names no training data/),
    ]);
    expect(error.message).toMatch(/^finetune\/readTaskData: 6 problems in 4 files:\n/);
    for (const problem of error.problems) expect(error.message).toContain(problem);
  });

  test('lists a hundred problems, some of every file, and counts all', async () => {
    const many = '{"text":"","answer":"day"}\n'.repeat(3000);
    const path = await writeScenario(join(directory, 'many'), {
      files: { 'light.train.jsonl': many, 'light.other.jsonl': many, 'lamp.test.jsonl': 'x\n' },
    });
    const { message } = await failureOf(readTaskData(path));
    expect(message).toMatch(/: 12,001 problems in 3 files:\n/);
    expect(message.split('\n').length).toBeLessThan(80);
    expect(message.match(/… and 5967 more/g)).toHaveLength(2);
    expect(message).toContain('lamp.test.jsonl:\n  line 1: not JSON');
  });

  test('names what a row lacks for its parents to be asked, where they will be', async () => {
    const tasks = taskFile.replace("'{text} light {light} . lamp ?'", "'light {light} . lamp ?'");
    const row = '{"parents":{"light":"night"},"answer":"yes"}\n';
    const path = await writeScenario(join(directory, 'asked'), {
      tasks,
      files: { 'lamp.train.jsonl': row, 'lamp.test.jsonl': row },
    });
    expect((await failureOf(readTaskData(path))).problems).toEqual([
      `${join(directory, 'asked/lamp.test.jsonl')}:\n  line 1: task "lamp" builds on the answer of "light", which has a slot {text}, but the row has no text`,
    ]);
  });

  test('names pictures that cannot be read, once each, where they are first named', async () => {
    const folder = join(directory, 'pictures');
    const image = (name: string) => `${JSON.stringify({ image: name, text: 'a', answer: 'night' })}\n`;
    const path = await writeScenario(folder, {
      tasks: taskFile.replace('inputs: [text]', 'inputs: [image, text]').replace(lampPart, ''),
      files: {
        'light.train.jsonl': image('good.png') + image('none.png') + image('none.png'),
        'light.test.jsonl': image('none.png') + image('text.png'),
        'light.other.jsonl': image('good.png') + '{"text":"a"}\n',
      },
    });
    await writeFile(join(folder, 'good.png'), dot);
    await writeFile(join(folder, 'text.png'), 'hello');
    expect((await failureOf(readTaskData(path))).problems).toEqual([
      `${join(folder, 'light.other.jsonl')}:\n  line 2: "answer" must be a string, got nothing\n  line 2: task "light" takes an image, but the row has none`,
      `${join(folder, 'light.train.jsonl')}:\n  line 2 (and 2 more rows): model/readPicture: cannot read ${join(folder, 'none.png')} as a picture: it cannot be opened (ENOENT: no such file or directory, stat '${join(folder, 'none.png')}')`,
      `${join(folder, 'light.test.jsonl')}:\n  line 2: model/readPicture: cannot read ${join(folder, 'text.png')} as a picture: it is a file of another kind; PNG, JPEG and WebP are read`,
    ]);
  });

  test('reads answers in JSON as values or text, and checks them and their schema', async () => {
    const tasks = taskFile
      .replace(lampPart, '')
      .replace(
        '{ type: label, labels: [night, sunny] }',
        '{ type: json, schema: { type: object, properties: { now: { enum: [night, sunny] }, lux: { type: integer } } } }',
      )
      .replace(', other: light.other.jsonl', '');
    const row = (answer: unknown) => `${JSON.stringify({ text: 'a', answer })}\n`;
    const read = (name: string, train: string, file = tasks) =>
      writeScenario(join(directory, name), {
        tasks: file,
        files: { 'light.train.jsonl': train, 'light.test.jsonl': row({ now: 'sunny', lux: 2 }) },
      }).then((path) => readTaskData(path));
    const { rows } = await read('json', row({ lux: 3, now: 'night' }) + row('{"now":"sunny","lux":4}'));
    expect([...(rows['light']?.train ?? [])].map(({ answer }) => answer)).toEqual([
      '{"now": "night", "lux": 3}',
      '{"now": "sunny", "lux": 4}',
    ]);
    expect((await failureOf(read('json-bad', row({ now: 'dusk', lux: 1 }) + row('night')))).message).toMatch(
      /line 1: "answer" is no answer to task "light": \$\.now must be "night" or "sunny", got "dusk"\n {2}line 2: .*not JSON/,
    );
    await expect(read('json-schema', '', tasks.replace('type: integer', 'type: date'))).rejects.toThrow(
      /tasks\.yaml:8:\d+: the answer's schema: #\/properties\/lux\/type: must be one of object, /,
    );
  });

  test('says where rows come from, and warns of test rows that are training rows', async () => {
    const folder = join(directory, 'shared');
    const row = (text: string, answer: string) => `${JSON.stringify({ text, answer })}\n`;
    const path = await writeScenario(folder, {
      tasks: taskFile.replace('light.test.jsonl', 'light.train.jsonl'),
      files: {
        'light.train.jsonl': `\n${row('a', 'night')}${row('b', 'sunny')}${row('a', 'sunny')}`,
        'light.other.jsonl': row('c', 'night') + row('b', 'night'),
      },
    });
    const { sources, warnings } = await readTaskData(path);
    const train = join(folder, 'light.train.jsonl');
    expect(sources['light']?.train).toEqual({ path: train, lines: [2, 3, 4] });
    expect(warnings.slice(0, 3)).toEqual([
      `task "light": 1 training row has the input of an earlier one, but another answer (first: ${train}:2 and ${train}:4)`,
      `task "light": 3 of 3 rows of the test set "test" are also training rows, so their accuracy says little about new inputs (first: ${train}:2 and ${train}:2)`,
      `task "light": 1 of 2 rows of the test set "other" are also training rows, so their accuracy says little about new inputs (first: ${join(folder, 'light.other.jsonl')}:2 and ${train}:3)`,
    ]);
  });

  test('warns of labels that no training row has', async () => {
    const path = await writeScenario(join(directory, 'unseen'), {
      tasks: taskFile
        .replace('[night, sunny]', '[night, sunny, fog, rain]')
        .replace('[yes, no]', '[yes, no, maybe]'),
      files: { 'light.train.jsonl': '{"text":"x","answer":"night"}\n' },
    });
    const { warnings } = await readTaskData(path);
    expect(warnings.filter((warning) => warning.includes('teaches'))).toEqual([
      'task "light": no training row has the label "sunny", nor 2 others, so nothing teaches when to answer it',
      'task "lamp": no training row has the label "maybe", so nothing teaches when to answer it',
    ]);
  });

  test('warns of nothing when every input is new', async () => {
    const path = await writeScenario(join(directory, 'fresh'), {
      files: {
        'light.test.jsonl': '{"text":"x","answer":"night"}\n',
        'light.other.jsonl': '{"text":"y","answer":"night"}\n',
        'lamp.test.jsonl': '{"text":"the light is low .","parents":{"light":"sunny"},"answer":"yes"}\n',
      },
    });
    expect((await readTaskData(path)).warnings).toEqual([]);
  });

  test('reads a task file and data with a byte order mark, and names UTF-16', async () => {
    const folder = join(directory, 'marked');
    const path = await writeScenario(folder, {
      tasks: `\ufeff${taskFile}`,
      files: { 'light.train.jsonl': '\ufeff{"text":"a","answer":"night"}\r\n' },
    });
    expect((await readTaskData(path)).rows['light']?.train).toHaveLength(1);
    await writeFile(
      join(folder, 'light.train.jsonl'),
      Buffer.from('{"text":"a","answer":"night"}', 'utf16le'),
    );
    expect((await failureOf(readTaskData(path))).message).toMatch(
      /light\.train\.jsonl:\n {2}line 1: .*UTF-16/,
    );
    await writeFile(path, Buffer.from(taskFile, 'utf16le'));
    await expect(readTaskData(path)).rejects.toThrow(/tasks\.yaml:1:1: the file is in the encoding UTF-16/);
  });

  test('says which task file it cannot read', async () => {
    const error = await failureOf(readTaskData(join(directory, 'nowhere.yaml')));
    expect(error.code).toBe('FINETUNE_TASK_FILE_UNREADABLE');
    expect(error.message).toContain(join(directory, 'nowhere.yaml'));
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });
});

describe('data in other forms', () => {
  const seeing = `
version: 1
tasks:
  - id: light
    instruction: 'light ?'
    inputs: [image]
    answer: { type: label, labels: [night, sunny] }
    data: { train: pictures/, validation: rows.csv }
`;

  test('is read from folders and tables, with the problems of both by picture and line', async () => {
    const folder = await mkdtemp(join(directory, 'forms-'));
    await writeFile(join(folder, 'tasks.yaml'), seeing);
    for (const label of ['night', 'sunny']) {
      await mkdir(join(folder, 'pictures', label), { recursive: true });
      await writeFile(join(folder, 'pictures', label, 'a.png'), dot);
    }
    await writeFile(join(folder, 'rows.csv'), 'image,answer\npictures/night/a.png,night\n');
    const { rows, sources, warnings } = await readTaskData(join(folder, 'tasks.yaml'));
    expect([...(rows['light']?.train ?? [])].map(({ answer }) => answer)).toEqual(['night', 'sunny']);
    expect(sources['light']?.train).toMatchObject({ lines: [1, 2], unit: 'picture' });
    expect(warnings).toEqual([
      expect.stringContaining(`${join(folder, 'rows.csv')}:2 and ${join(folder, 'pictures')}, picture 1)`),
    ]);
    await writeFile(join(folder, 'pictures/sunny/b.png'), 'no picture');
    await writeFile(join(folder, 'rows.csv'), 'image,answer\npictures/night/a.png,dusk\n');
    await expect(readTaskData(join(folder, 'tasks.yaml'))).rejects.toThrow(
      /rows\.csv:\n {2}line 2: answer "dusk"[\s\S]*pictures:\n {2}picture 3: .*b\.png/,
    );
  });
});
