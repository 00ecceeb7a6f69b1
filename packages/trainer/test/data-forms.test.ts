import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { TaskSpec } from '@contextlora/task-graph';
import { checkDataFile, type RowRules, sampleBatch, TrainerError } from '@contextlora/trainer';
import { readDataFile, type ReadDataFileOptions } from '@contextlora/trainer/files';
import fc from 'fast-check';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'data-forms-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const light: TaskSpec = {
  id: 'light',
  dependsOn: [],
  instruction: '{text} light ?',
  inputs: ['text', 'image'],
  answer: { type: 'label', labels: ['night', 'café', 'Sunny'] },
  data: {},
};
const lamp: TaskSpec = {
  id: 'lamp',
  dependsOn: ['light'],
  instruction: '{text} light {light} . lamp ?',
  inputs: ['text', 'image'],
  answer: { type: 'label', labels: ['yes', 'no'] },
  data: {},
};
const scene: TaskSpec = { ...light, id: 'scene', instruction: 'what ?', inputs: ['image'] };
/** The lamp's rows may lack an image: nothing but the forms is tested here. */
const textLamp: TaskSpec = { ...lamp, inputs: ['text'] };
const textLight: TaskSpec = { ...light, inputs: ['text'] };

async function read(
  name: string,
  content: string | Uint8Array,
  task: TaskSpec,
  options?: ReadDataFileOptions,
) {
  const path = join(directory, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return readDataFile(path, task, options);
}
const rowsOf = ({ rows }: { rows: Iterable<unknown> }) => [...rows];

describe('a row with a sound', () => {
  const siren: TaskSpec = { ...light, inputs: ['text', 'audio'] };
  const row = { audio: 'a.wav', text: 'low .', parents: {}, answer: 'night' };
  const part = { type: 'text', text: 'low .' };
  const assistant = { role: 'assistant', content: 'night' };

  test.each([
    [{ audio: 'a.wav', prompt: 'low .', completion: 'night' }],
    [{ audios: ['a.wav'], text: 'low .', answer: 'night' }],
    [{ messages: [{ role: 'user', content: [{ type: 'audio', audio: 'a.wav' }, part] }, assistant] }],
    [{ audios: ['a.wav'], messages: [{ role: 'user', content: [{ type: 'audio' }, part] }, assistant] }],
  ])('may have the form %j', (value) => {
    expect(checkDataFile(JSON.stringify(value), siren)).toMatchObject({ rows: [row], problems: [] });
  });

  test.each([
    [{ text: 'a', answer: 'night' }, 'line 1: task "light" takes a sound, but the row has none'],
    [{ ...row, audio: 3 }, 'line 1: "audio" must be a path, got number'],
    [{ ...row, audio: ' ' }, 'line 1: "audio" is empty'],
    [{ ...row, audios: ['b.wav'] }, 'line 1: the row has two sounds; it has at most one'],
    [
      { audios: ['a.wav', 'b.wav'], text: 'a', answer: 'night' },
      'line 1: "audios" has 2 sounds; a row has at most one',
    ],
    [
      { ...row, sound: 'a.wav' },
      'line 1: unknown key "sound" (known are image, audio, text, parents, answer); remove it',
    ],
  ])('is refused when it is %j', (value, problem) => {
    expect(checkDataFile(JSON.stringify(value), siren).problems).toContain(problem);
  });

  test('is refused of a task that does not hear', () => {
    expect(checkDataFile(JSON.stringify(row), light).problems).toContain(
      'line 1: "audio" is given, but task "light" does not take one; add audio to its inputs, or remove it',
    );
  });

  test('is a line of a table, or a file in the folder of its label, with a path relative to it', async () => {
    const table = await read('sounds.csv', 'audio,text,answer\na/1.wav,low .,night\n', siren);
    expect(rowsOf(table)).toEqual([{ ...row, audio: join(directory, 'a/1.wav') }]);
    await read('heard/night/1.wav', '', siren);
    const only = { ...siren, inputs: ['audio'] as const, instruction: 'light ?' };
    const folder = await readDataFile(join(directory, 'heard'), only);
    expect(folder).toMatchObject({ unit: 'sound', problems: [] });
    expect(rowsOf(folder)).toEqual([
      { audio: join(directory, 'heard/night/1.wav'), text: '', parents: {}, answer: 'night' },
    ]);
  });
});

describe('a row of JSONL', () => {
  const row = { image: 'a.png', text: 'low .', parents: {}, answer: 'night' };
  const user = { role: 'user', content: 'low .' };
  const assistant = { role: 'assistant', content: 'night' };
  const lineOf = (value: object, task = light, rules: RowRules = {}) =>
    checkDataFile(JSON.stringify(value), task, rules);

  test.each([
    [{ image: 'a.png', prompt: 'low .', completion: 'night' }],
    [{ image: 'a.png', prompt: 'low .', answer: 'night' }],
    [{ image: 'a.png', messages: [user, assistant] }],
    [{ images: ['a.png'], messages: [user, assistant] }],
    [
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image', image: 'a.png' },
              { type: 'text', text: 'low .' },
            ],
          },
          assistant,
        ],
      },
    ],
    [
      {
        images: ['a.png'],
        messages: [
          { role: 'user', content: [{ type: 'image' }, { type: 'text', text: 'low .' }] },
          { role: 'assistant', content: [{ type: 'text', text: 'night' }] },
        ],
      },
    ],
  ])('may have the form %j', (value) => {
    expect(lineOf(value)).toMatchObject({ rows: [row], problems: [] });
  });

  test('has parents’ answers in every form', () => {
    const parents = { light: 'night' };
    for (const form of [
      { prompt: 'a', completion: 'yes' },
      {
        messages: [
          { role: 'user', content: 'a' },
          { role: 'assistant', content: 'yes' },
        ],
      },
    ])
      expect(lineOf({ ...form, parents }, textLamp).rows).toEqual([{ text: 'a', parents, answer: 'yes' }]);
  });

  test.each([
    [{ text: 'a', prompt: 'a', answer: 'night' }, '"prompt" and "text" say the same; leave one of them out'],
    [{ messages: [user, assistant], answer: 'night' }, '"messages" and "answer" say the same; leave one out'],
    [
      { messages: [{ role: 'system', content: 'x' }, user, assistant] },
      'a system message is the same for all rows: put it into the instruction of the task, and remove it',
    ],
    [
      { messages: [user, assistant, user, assistant] },
      '"messages" must be one of the user and one of the assistant, got "user", "assistant", "user", "assistant"; write a row for each answer',
    ],
    [
      { messages: [assistant, user] },
      '"messages" must be one of the user and one of the assistant, got "assistant", "user"',
    ],
    [{ messages: 'hello' }, '"messages" must be a list, got string'],
    [
      { image: 'a.png', messages: [user, { role: 'assistant', content: 3 }] },
      'the content of a message must be text or a list of parts, got number',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }, assistant] },
      'a part of a message must have the type text, with its text, or image or audio, with the path of a file; got ',
    ],
    [
      { image: 'b.png', images: ['a.png'], prompt: 'a', answer: 'night' },
      'the row has two pictures; it has at most one',
    ],
    [
      { images: ['a.png', 'b.png'], prompt: 'a', answer: 'night' },
      '"images" has 2 pictures; a row has at most one',
    ],
    [
      { image: 'a.png', messages: [user, { role: 'assistant', content: 'day' }] },
      'answer "day" is not a label of task "light"',
    ],
    [{ mesages: [user, assistant] }, 'unknown key "mesages"; did you mean "messages"?'],
  ])('is refused: %j', (value, problem) => {
    expect(lineOf(value).problems).toContainEqual(expect.stringContaining(`line 1: ${problem}`));
  });
});

describe('a table', () => {
  test('in CSV has quoted cells, empty ones, and rows that are counted by their first line', async () => {
    const source =
      '\uFEFFtext,image,parents.light,answer\r\n' +
      'low .,a.png,night,yes\r\n\r\n' +
      '"bright, ""very""\nindeed .",,Sunny,no\r\n' +
      'dim .,,,maybe\r\n' +
      'short,,\r\n';
    const { problems, lines } = await read('a.csv', source, textLamp, { tasks: [light, textLamp] });
    expect(problems).toEqual([
      'line 6: answer "maybe" is not a label of task "lamp" (yes, no)',
      'line 6: the instruction of "lamp" has a slot for "light", but "parents" has no answer for it',
      'line 7: 3 cells, but the first line names 4 columns',
    ]);
    expect(lines).toEqual([2, 4]);
    const file = await read('b/b.csv', source.split('dim')[0] ?? '', textLamp, { tasks: [light, textLamp] });
    expect(rowsOf(file)).toEqual([
      { image: join(directory, 'b/a.png'), text: 'low .', parents: { light: 'night' }, answer: 'yes' },
      { text: 'bright, "very"\nindeed .', parents: { light: 'Sunny' }, answer: 'no' },
    ]);
  });

  test('may be separated by tabs, and may have the names of other forms', async () => {
    const file = await read('a.tsv', 'prompt\tcompletion\na, b\tnight\n', textLight);
    expect(rowsOf(file)).toEqual([{ text: 'a, b', parents: {}, answer: 'night' }]);
  });

  test.each([
    ['text;answer\na;night\n', 'line 1: the columns are separated by semicolons; separate them by commas'],
    ['txt,answer\na,night\n', 'line 1: unknown column "txt"; did you mean "text"?'],
    [
      'text,answer,parents.dark\na,night,x\n',
      'line 1: unknown column "parents.dark" (known are image, audio, text, prompt, answer, completion); remove it',
    ],
    ['text,text,answer\na,b,night\n', 'line 1: the column "text" is named twice; names must be unique'],
    ['text,answer\na,night\n"b,night\n', /^line 3: not CSV \(Quote Not Closed/],
    ['', 'the file has no rows'],
    ['text,answer\n', 'the file has no rows'],
  ])('is refused: %j', async (source, problem) => {
    const { problems } = await read('wrong.csv', source, textLight);
    expect(problems).toEqual([typeof problem === 'string' ? problem : expect.stringMatching(problem)]);
  });

  test('in another encoding than UTF-8 is named', async () => {
    const { problems } = await read('utf16.csv', Buffer.from('text,answer\na,night\n', 'utf16le'), textLight);
    expect(problems[0]).toMatch(/^line 1: the file is in the encoding UTF-16/);
  });

  const fixture = (name: string) =>
    join(dirname(fileURLToPath(import.meta.url)), 'fixtures/parquet', `${name}.parquet`);

  test.each(['snappy', 'zstd', 'gzip'])('in Parquet is read, compressed with %s', async (codec) => {
    const file = await readDataFile(fixture(codec), textLamp, { tasks: [light, textLamp] });
    expect(file).toMatchObject({ problems: [], lines: [1, 2], unit: 'row' });
    expect(rowsOf(file)).toEqual([
      {
        image: join(dirname(fixture(codec)), 'a.png'),
        text: 'low .',
        parents: { light: 'night' },
        answer: 'yes',
      },
      { text: 'bright é .', parents: { light: 'Sunny' }, answer: 'no' },
    ]);
  });

  test('in Parquet may hold messages', async () => {
    const file = await readDataFile(fixture('chat'), textLight);
    expect(rowsOf(file)).toEqual([{ text: 'low .', parents: {}, answer: 'night' }]);
  });

  test('in Parquet is refused with its rows, as no Parquet, or when its data are too large', async () => {
    const problemsOf = async (name: string, task: TaskSpec, options?: ReadDataFileOptions) =>
      (await readDataFile(fixture(name), task, options)).problems;
    expect(await problemsOf('problems', textLamp)).toEqual([
      'row 3: answer "maybe" is not a label of task "lamp" (yes, no)',
      'row 3: the instruction of "lamp" has a slot for "light", but "parents" has no answer for it',
    ]);
    expect(await problemsOf('bytes', scene)).toEqual(['row 1: "image" must be a path, got an object']);
    expect((await problemsOf('snappy', textLamp, { maximumBytes: 100 }))[0]).toMatch(
      /bytes; at most 100 are read/,
    );
    expect((await read('no.parquet', 'PAR1 nonsense PAR1', textLamp)).problems[0]).toMatch(
      /^not a Parquet file that can be read \(/,
    );
  });
});

describe('folders of pictures', () => {
  const folderOf = async (name: string, files: readonly string[]) => {
    for (const file of files) {
      await mkdir(dirname(join(directory, name, file)), { recursive: true });
      await writeFile(join(directory, name, file), '');
    }
    return readDataFile(join(directory, name), scene);
  };

  test('are rows in the order of their names, with the folder as answer', async () => {
    const file = await folderOf('good', [
      'night/b.png',
      'night/a.png',
      'Sunny/9.jpg',
      'night/.hidden',
      '.DS_Store',
    ]);
    expect(file).toMatchObject({ unit: 'picture', lines: [1, 2, 3], problems: [] });
    expect(rowsOf(file)).toEqual(
      [
        ['Sunny/9.jpg', 'Sunny'],
        ['night/a.png', 'night'],
        ['night/b.png', 'night'],
      ].map(([path = '', answer]) => ({
        image: join(directory, 'good', path),
        text: '',
        parents: {},
        answer,
      })),
    );
  });

  test('are refused with everything that is wrong', async () => {
    const { problems } = await folderOf('bad', ['nigt/a.png', 'a.png', 'Sunny/b/c.png']);
    await mkdir(join(directory, 'bad/café'));
    expect(problems).toEqual([
      expect.stringMatching(/^picture 1: Sunny\/b is a folder/),
      expect.stringMatching(/^picture 2: a.png lies beside the folders/),
      expect.stringMatching(
        /^picture 2: the name of the folder "nigt" is not a label of task "scene" .*did you mean "night"\?/,
      ),
    ]);
    expect((await readDataFile(join(directory, 'bad'), scene)).problems).toContain(
      'picture 2: the folder "café" is empty; remove it',
    );
    expect((await readDataFile(directory, { ...scene, answer: { type: 'text' } })).problems[0]).toMatch(
      /task "scene" has no labels; name a file with its rows/,
    );
  });
});

describe('a JSONL file that is larger than memory should hold', () => {
  const large = { maximumBytes: 10 };
  const lines = Array.from({ length: 50 }, (_, i) => JSON.stringify({ text: `é ${i} .`, answer: 'café' }));

  test('has the rows that it has in memory, one by one and in order', async () => {
    for (const [name, source] of [
      ['lf', lines.join('\n')],
      ['crlf', `\uFEFF${lines.join('\r\n\r\n')}\r\n`],
      ['cr', lines.join('\r')],
    ] as const) {
      const small = await read(`${name}.jsonl`, source, textLight);
      const { rows, ...rest } = await readDataFile(join(directory, `${name}.jsonl`), textLight, large);
      expect(Array.isArray(rows)).toBe(false);
      expect([...rows]).toEqual([...small.rows]);
      expect([rows.at(7), rows.at(0), rows.at(50)]).toEqual([small.rows.at(7), small.rows.at(0), undefined]);
      expect(rest).toMatchObject({ lines: small.lines, problems: [], problemCount: 0 });
    }
  });

  test('is refused with the same problems and lines', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constantFrom(...lines.slice(0, 3)), fc.string({ maxLength: 12 })), {
          minLength: 2,
          maxLength: 12,
        }),
        fc.constantFrom('\n', '\r\n', '\r'),
        async (some, end) => {
          const source = some.map((line) => line.replaceAll(/[\r\n]/g, '')).join(end) + '  '.repeat(8);
          const small = await read('fuzz.jsonl', source, textLight);
          const big = await readDataFile(join(directory, 'fuzz.jsonl'), textLight, large);
          expect({ ...big, rows: [...big.rows] }).toEqual({ ...small, rows: [...small.rows] });
        },
      ),
      { numRuns: 40 },
    );
    const { problems } = await read('list.jsonl', `[${lines.join(',\n')}]`, textLight, large);
    expect(problems[0]).toMatch(/begins as a JSON list/);
    const utf16 = await read('wide.jsonl', Buffer.from(lines.join('\n'), 'utf16le'), textLight, large);
    expect(utf16.problems[0]).toMatch(/encoding UTF-16/);
    const latin = Buffer.concat([Buffer.from(`${lines[0] ?? ''}\n"`), Buffer.from([0xe9])]);
    expect((await read('latin.jsonl', latin, textLight, large)).problems[0]).toMatch(/^line 2: not UTF-8/);
  });

  test('of rows to be answered is refused, because they are kept', async () => {
    const { problems } = await read('asked.jsonl', lines.join('\n'), textLight, {
      ...large,
      purpose: 'answer',
    });
    expect(problems[0]).toMatch(/bytes; at most 10 are read; split the file$/);
  });

  test('must not change while it is in use', async () => {
    const { rows } = await read('moved.jsonl', lines.join('\n'), textLight, large);
    await writeFile(join(directory, 'moved.jsonl'), `     ${lines.join('\n')}`);
    expect(() => rows.at(3)).toThrow(TrainerError);
    await appendFile(join(directory, 'moved.jsonl'), '\n');
  });

  test('is drawn in a keyed order that has every example once per epoch', () => {
    const [count, key] = [100_003, { seed: 1, task: 'light' }];
    const size = 25_000;
    const seen = [0, 1, 2, 3, 4].flatMap((step) => sampleBatch(count, size, { ...key, step }));
    expect(new Set(seen.slice(0, count)).size).toBe(count);
    expect(Math.max(...seen.slice(-5))).toBeLessThan(count);
    expect(seen.slice(0, 4)).not.toEqual([0, 1, 2, 3]);
    // Neighbours in the file are no neighbours in the order.
    const close = seen.slice(0, 10_000).filter((index, i) => Math.abs(index - (seen[i + 1] ?? 0)) < 1000);
    expect(close.length).toBeLessThan(400);
    expect(sampleBatch(count, 4, { ...key, step: 3 })).toEqual(sampleBatch(count, 4, { ...key, step: 3 }));
    expect(sampleBatch(count, 4, { ...key, seed: 2, step: 0 })).not.toEqual(seen.slice(0, 4));
  });
});
