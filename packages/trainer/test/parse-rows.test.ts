import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { TaskSpec } from '@contextlora/task-graph';
import { checkDataFile, type RowRules, TrainerError } from '@contextlora/trainer';
import { readDataFile, readTaskRows } from '@contextlora/trainer/files';
import fc from 'fast-check';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'parse-rows-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const light: TaskSpec = {
  id: 'light',
  dependsOn: [],
  instruction: '{text} light ?',
  inputs: ['text'],
  answer: { type: 'label', labels: ['night', 'café', 'Sunny'] },
  data: {},
};
const lamp: TaskSpec = {
  id: 'lamp',
  dependsOn: ['light'],
  instruction: 'light {light} . lamp ?',
  inputs: ['text'],
  answer: { type: 'label', labels: ['yes', 'no'] },
  data: {},
};
const scene: TaskSpec = { ...light, id: 'scene', instruction: 'what ?', inputs: ['image'] };
const advice: TaskSpec = {
  ...lamp,
  id: 'advice',
  dependsOn: ['scene'],
  instruction: '{scene} . advice ?',
  answer: { type: 'text' },
};
const tasks = [light, lamp, scene, advice];

const problemsOf = (line: unknown, task: TaskSpec = light, rules: RowRules = { tasks }) =>
  checkDataFile(typeof line === 'string' ? line : JSON.stringify(line), task, rules).problems;

describe('a row is refused with its line', () => {
  test.each([
    [{ txt: 'a', answer: 'night' }, 'unknown key "txt"; did you mean "text"?'],
    [{ Text: 'a', answer: 'night' }, 'unknown key "Text"; did you mean "text"?'],
    [{ text: 'a', anwser: 'night' }, 'unknown key "anwser"; did you mean "answer"?'],
    [
      { text: 'a', answer: 'night', meta: {} },
      'unknown key "meta" (known are image, audio, text, parents, answer); remove it',
    ],
    ['{"text":"a","answer":"night","__proto__":{"text":"b"}}', /^line 1: unknown key "__proto__"/],
    [
      '{"text":"a","answer":"Sunny","answer":"night"}',
      'the key "answer" is given twice; keys must be unique',
    ],
    ['{"text":"a","t\\u0065xt":"b","answer":"night"}', 'the key "text" is given twice; keys must be unique'],
    [{ answer: 'night' }, 'task "light" has a slot {text}, but the row has no text'],
    [{ text: '', answer: 'night' }, 'task "light" has a slot {text}, but "text" is empty'],
    [{ text: ' \t', answer: 'night' }, 'task "light" has a slot {text}, but "text" is empty'],
    [{ text: 1, answer: 'night' }, '"text" must be a string, got number'],
    [{ text: null, answer: 'night' }, '"text" must be a string, got null'],
    [
      { text: 'a\0b', answer: 'night' },
      '"text" holds a NUL character or half of a surrogate pair; remove it',
    ],
    ['{"text":"a\\ud83d","answer":"night"}', /^line 1: "text" holds a NUL character or half/],
    [{ text: 'a' }, '"answer" must be a string, got nothing'],
    [{ text: 'a', answer: 1 }, '"answer" must be a string, got number; write "1"'],
    [{ text: 'a', answer: ['night'] }, '"answer" must be a string, got a list'],
    [
      { text: '\u200b\u00ad ', answer: 'night' },
      'task "light" has a slot {text}, but "text" has no visible character',
    ],
    [{ text: 'a', answer: '' }, '"answer" is empty'],
    [
      { text: 'a', answer: 'nigt' },
      'answer "nigt" is not a label of task "light" (night, café, Sunny); did you mean "night"?',
    ],
    [
      { text: 'a', answer: 'cafe\u0301' },
      /not a label .*; it differs from the label "café" only in its Unicode form \(NFC or NFD\)$/,
    ],
    [{ text: 'a', answer: 'sunny' }, /it differs from the label "Sunny" only in upper and lower case$/],
    [{ text: 'a', answer: 'night ' }, /it differs from the label "night" only in white space$/],
    [{ text: 'a', answer: '\u200bnight' }, /it differs from the label "night" only in white space$/],
    [{ text: 'a', answer: ' CAFE\u0301' }, /only in white space, case or Unicode form$/],
    [
      { text: 'a', image: 'a.png', answer: 'night' },
      '"image" is given, but task "light" does not take one; add image to its inputs, or remove it',
    ],
    [{ text: 'a', image: 3, answer: 'night' }, '"image" must be a path, got number'],
    [{ text: 'a', parents: [], answer: 'night' }, '"parents" must be an object, got a list'],
    [
      { text: 'a', parents: { lamp: 'yes' }, answer: 'night' },
      '"parents" has an answer of "lamp", but task "light" does not depend on it; remove it, or add it to dependsOn',
    ],
    [[1], /the file begins as a JSON list; write one object per line/],
    ['"text"', 'not a JSON object, but string'],
    ['{"text":', /^line 1: not JSON/],
  ])('%j', (line, problem) => {
    const problems = problemsOf(line);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(
      typeof problem === 'string' ? new RegExp(`^line 1: ${escape(problem)}$`) : problem,
    );
  });
  const escape = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

  test.each([
    [
      { parents: { light: 'dark' }, answer: 'yes' },
      /the answer of "light" in "parents" "dark" is not a label of task "light"/,
    ],
    [{ parents: { light: 'sunny' }, answer: 'yes' }, /only in upper and lower case/],
    [{ parents: { light: '' }, answer: 'yes' }, 'the answer of "light" in "parents" is empty'],
    [
      { parents: { light: 3 }, answer: 'yes' },
      'the answer of "light" in "parents" must be a string, got number; write "3"',
    ],
    [
      { parents: {}, answer: 'yes' },
      'the instruction of "lamp" has a slot for "light", but "parents" has no answer for it',
    ],
    [
      { answer: 'yes' },
      'the instruction of "lamp" has a slot for "light", but "parents" has no answer for it',
    ],
    [
      { parents: { light: 'night', ligh: 'night' }, answer: 'yes' },
      '"parents" has an answer of "ligh", but task "lamp" does not depend on it; did you mean "light"?',
    ],
    [
      '{"parents":{"light":"night","light":"Sunny"},"answer":"yes"}',
      'the key "light" is given twice; keys must be unique',
    ],
  ])('for its parents: %j', (line, problem) => {
    const problems = problemsOf(line, lamp);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });

  test('with all of its problems', () => {
    expect(problemsOf({ text: '', answer: 'day', image: 'a.png', id: 1 })).toHaveLength(4);
  });
});

describe('what a row must have for its parents to be asked', () => {
  const row = { parents: { light: 'night' }, answer: 'yes' };

  test('is text for a parent with a slot for it, where parents are asked', () => {
    expect(problemsOf(row, lamp)).toEqual([]);
    expect(problemsOf(row, lamp, { tasks, purpose: 'answer' })).toEqual([
      'line 1: task "lamp" builds on the answer of "light", which has a slot {text}, but the row has no text',
    ]);
    for (const purpose of ['train', 'answer'] as const)
      expect(problemsOf({ text: 'low', ...row }, lamp, { tasks, purpose })).toEqual([]);
  });

  test('is an image for a parent that takes one', () => {
    const advised = { parents: { scene: 'night' }, answer: 'sleep well' };
    expect(problemsOf(advised, advice)).toEqual([]);
    expect(problemsOf(advised, advice, { tasks, purpose: 'answer' })).toEqual([
      'line 1: task "advice" builds on the answer of "scene", which takes an image, but the row has none',
    ]);
    expect(problemsOf({ image: 'a.png', ...advised }, advice, { tasks, purpose: 'answer' })).toEqual([]);
  });

  test('is no text that neither the task nor a parent reads', () => {
    expect(problemsOf({ text: 'low', image: 'a.png', answer: 'night' }, scene)).toEqual([
      'line 1: "text" is given, but the instruction of task "scene" has no slot {text}; add the slot, or remove the text',
    ]);
    expect(problemsOf({ text: '', image: 'a.png', answer: 'night' }, scene)).toEqual([]);
    expect(
      problemsOf({ image: 'a.png', text: 'x', parents: { scene: 'night' }, answer: 'no' }, advice),
    ).toHaveLength(1);
  });

  test('is not known without the other tasks', () => {
    expect(problemsOf({ text: 'low', parents: { light: 'dim' }, answer: 'yes' }, lamp, {})).toEqual([]);
  });
});

describe('a free answer', () => {
  const note: TaskSpec = { ...light, id: 'note', answer: { type: 'text' } };
  test('is text without white space around it, which no generated answer has', () => {
    expect(problemsOf({ text: 'a', answer: 'two words\nand a line' }, note)).toEqual([]);
    for (const answer of [' a', 'a\n'])
      expect(problemsOf({ text: 'a', answer }, note)[0]).toMatch('begins or ends with white space');
    expect(problemsOf({ text: 'a', answer: ' ' }, note)).toEqual(['line 1: "answer" is empty']);
  });

  test('in JSON is a value or its text, written by the given function', () => {
    const form: TaskSpec = { ...light, id: 'form', answer: { type: 'json', schema: { type: 'number' } } };
    const writeJson: RowRules['writeJson'] = (value, schema) =>
      typeof value === schema['type'] ? { text: `<${String(value)}>` } : { problem: 'no number' };
    const read = (answer: unknown) =>
      checkDataFile(JSON.stringify({ text: 'a', answer }), form, { tasks: [form], writeJson });
    expect(read(1).rows[0]?.answer).toBe('<1>');
    expect(read('1').rows[0]?.answer).toBe('<1>');
    expect(read('one').problems[0]).toMatch('line 1: "answer" is no answer to task "form": not JSON');
    expect(read(null).problems).toEqual(['line 1: "answer" is no answer to task "form": no number']);
    expect(checkDataFile('{"text":"a"}', form, { writeJson }).problems).toEqual([
      'line 1: "answer" is missing',
    ]);
  });
});

describe('a data file', () => {
  const row = (text: string) => JSON.stringify({ text, answer: 'night' });

  test.each(['\n', '\r\n', '\r'])(
    'has one row per line, with line ends %j, blank lines and a mark',
    (end) => {
      const { rows, lines } = checkDataFile(`\ufeff${['', row('a'), '   ', row('b'), ''].join(end)}`, light);
      expect(rows.map(({ text }) => text)).toEqual(['a', 'b']);
      expect(lines).toEqual([2, 4]);
    },
  );

  test('may have a mark right before its first row', () => {
    expect(checkDataFile(`\ufeff${row('a')}`, light).rows).toEqual([
      { text: 'a', parents: {}, answer: 'night' },
    ]);
  });

  test('may have U+2028 and U+2029 within its strings', () => {
    const text = 'a\u2028b\u2029c\u0085d';
    expect(checkDataFile(row(text), light).rows).toEqual([{ text, parents: {}, answer: 'night' }]);
  });

  test('has its problems described up to a hundred, and all of them counted', async () => {
    const source = Array.from({ length: 5000 }, () => row('')).join('\n');
    const { problems, problemCount } = checkDataFile(source, light);
    expect([problems.length, problemCount]).toEqual([100, 5000]);
    const path = join(directory, 'many.jsonl');
    await writeFile(path, source);
    const error = await readTaskRows(path, light).catch((thrown: unknown) => thrown as TrainerError);
    expect(error).toBeInstanceOf(TrainerError);
    const lines = (error as TrainerError).message.split('\n');
    expect(lines).toHaveLength(102);
    expect(lines[1]).toMatch(/^ {2}line 1: /);
    expect(lines[101]).toBe('  … and 4900 more (5000 problems)');
  });

  test('of a hostile size is refused in linear time with short messages', () => {
    const keys = Array.from({ length: 60_000 }, (_, i) => `"key${i}":1`).join();
    const hostile = [
      `{${keys}}`,
      `{"text":"${'a'.repeat(1_000_001)}","answer":"night"}`,
      `{"text":"a","answer":"${'x'.repeat(900_000)}"}`,
      `{"${'k'.repeat(900_000)}":1,"text":"a","answer":"night"}`,
      '['.repeat(500_000),
      `{"text":"a","answer":"night","parents":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
    ];
    const start = performance.now();
    for (const source of hostile) {
      const { rows, problems } = checkDataFile(source, light);
      expect(rows).toEqual([]);
      expect(problems.join('\n').length).toBeLessThan(30_000);
    }
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('of any text is read or refused, never anything else', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.json(),
          fc.json().map((json) => `{"text":"a","answer":"night","x":${json}}`),
        ),
        (source) => {
          const { rows, problems, problemCount } = checkDataFile(source, light, { tasks });
          expect(rows.length > 0).toBe(problems.length === 0);
          expect(problemCount).toBeGreaterThanOrEqual(problems.length);
        },
      ),
      { numRuns: 500 },
    );
  });

  const escapeUnit = (unit: string) =>
    unit.length === 1 ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}` : unit;

  test('never has a key twice without a word, however deep and however it is spelt', () => {
    const json = fc.json({ maxDepth: 4 });
    fc.assert(
      fc.property(json, json, fc.string(), (a, b, key) => {
        const name = JSON.stringify(key);
        const spelt = `"${Array.from(key, escapeUnit).join('')}"`;
        const problems = problemsOf(`{"text":"a","answer":"night","x":[{${name}:${a},${spelt}:${b}}]}`);
        expect(problems.filter((problem) => problem.includes('twice')).length).toBeGreaterThanOrEqual(1);
      }),
    );
    fc.assert(
      fc.property(json, (value) => {
        // A file in which no key is repeated.
        const once = JSON.stringify(JSON.parse(value));
        expect(problemsOf(`{"text":"a","answer":"night","x":${once}}`).join()).not.toMatch('twice');
      }),
    );
  });
});

describe('a data file on disk', () => {
  const written = async (name: string, content: string | Uint8Array) => {
    const path = join(directory, name);
    await writeFile(path, content);
    return readDataFile(path, light);
  };
  const text = '{"text":"caf\u00e9","answer":"night"}\n';
  const row = '{"text":"a","answer":"night"}';

  test('is UTF-8, with or without a mark', async () => {
    for (const mark of ['', '\ufeff'])
      expect((await written('utf8.jsonl', mark + text)).rows).toEqual([
        { text: 'caf\u00e9', parents: {}, answer: 'night' },
      ]);
  });

  test('is named when it is UTF-16, in both orders, with and without a mark', async () => {
    for (const mark of ['', '\ufeff'])
      for (const swap of [false, true]) {
        const bytes = Buffer.from(mark + text, 'utf16le');
        const { problems } = await written('utf16.jsonl', swap ? bytes.swap16() : bytes);
        expect(problems).toEqual([
          'line 1: the file is in the encoding UTF-16; save it as UTF-8, or convert it with "iconv -f UTF-16 -t UTF-8"',
        ]);
      }
  });

  test.each([
    ['gzip', gzipSync(`${row}\n`), 'not text, but compressed (gzip); unpack it'],
    ['zip', Buffer.from('PK\x03\x04rest'), 'not text, but compressed (zip); unpack it'],
    [
      'Parquet',
      Buffer.from('PAR1\0\0\0\0\0'),
      'not text, but a Parquet table; its name must end in .parquet',
    ],
  ])('that is %s is named', async (_, bytes, problem) => {
    expect((await written('other.jsonl', bytes)).problems).toEqual([`line 1: ${problem}`]);
  });

  test('shows what nobody would see, as the mark of a file that was joined to another', async () => {
    const { problems } = await written(
      'joined.jsonl',
      `\ufeff${row}\n\ufeff${row}\n{"te\u200bxt":"a","answer":"night"}`,
    );
    expect(problems).toEqual([
      expect.stringMatching(/^line 2: not JSON \(Unexpected token '\\ufeff'/),
      'line 3: unknown key "te\\u200bxt"; did you mean "text"?',
    ]);
  });

  test('with a byte that is not UTF-8 names its line', async () => {
    const { problems } = await written('latin1.jsonl', Buffer.from(`${row}\n${text}`, 'latin1'));
    expect(problems).toEqual([expect.stringMatching(/^line 2: not UTF-8 \(perhaps Windows-1252/)]);
  });

  test('that is empty, a directory or missing is a problem of its own', async () => {
    expect((await written('empty.jsonl', '\n\n')).problems).toEqual(['the file has no rows']);
    await mkdir(join(directory, 'folder.jsonl'));
    expect((await readDataFile(join(directory, 'folder.jsonl'), light)).problems).toEqual([
      'the folder has no pictures; it should have a folder of pictures for each label',
    ]);
    expect((await readDataFile(join(directory, 'missing.jsonl'), light)).problems[0]).toMatch(
      /^no such file; task "light" names it/,
    );
  });
});
