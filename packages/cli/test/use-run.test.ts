import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openKernels } from '@contextlora/kernels';
import { readPeftFolder } from '@contextlora/lora/files';
import { loadModel, scoreLabels } from '@contextlora/model';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { baseModel, trainLight, writeLightTasks, writeRows } from './light-run.js';
import { runCommand as run } from './run-command.js';

let directory: string;
const at = (...parts: string[]) => join(directory, ...parts);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-use-'));
  const taskFile = await writeLightTasks(at('light'));
  expect(await trainLight(taskFile, at('run'))).toMatchObject({ code: 0, err: '' });
  let isStopped = false;
  const stopped = await trainLight(taskFile, at('stopped'), {
    onOutput(out, interrupt) {
      if (isStopped || !out.includes('certificate: light')) return;
      isStopped = true;
      interrupt();
    },
  });
  expect(stopped.code).toBe(130);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const low = ['--text', 'the light is low .'];
interface Asked {
  readonly id?: number;
  readonly task: string;
  readonly answer: string;
  readonly probability: number;
  readonly answers: readonly {
    task: string;
    answer: string;
    given?: boolean;
    prompt?: string;
    labels?: Record<string, number>;
  }[];
}
const linesOf = (out: string) =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Asked);

describe('contextlora ask', () => {
  test('needs nothing but the run and the question, and shows every answer with its probability', async () => {
    const { code, out, err } = await run(['ask', at('run'), ...low]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^light {2}night {2} *\d+\.\d %.*\nlamp {3}yes {4} *\d+\.\d %.*\n$/);
    const [asked] = linesOf((await run(['ask', at('run'), ...low, '--json'])).out);
    expect(asked).toMatchObject({ task: 'lamp', answer: 'yes' });
    expect(asked?.answers.map(({ task, prompt }) => [task, prompt])).toEqual([
      ['light', 'the light is low . light ?'],
      ['lamp', 'the light is low . light night . lamp ?'],
    ]);
    for (const { labels = {} } of asked?.answers ?? [])
      expect(Object.values(labels).reduce((a, b) => a + b)).toBeCloseTo(1, 5);
  });

  test('takes an answer as given, and then asks neither its task nor for what only that task needs', async () => {
    const given = await run(['ask', at('run'), ...low, '--given', 'light=sunny', '--json']);
    const [asked] = linesOf(given.out);
    expect(asked?.answers[0]).toEqual({ task: 'light', answer: 'sunny', given: true });
    expect(asked?.answers[1]?.prompt).toBe('the light is low . light sunny . lamp ?');
  });

  test('answers a file of questions, one line for each in its order, as it answers each alone', async () => {
    const questions = [
      { id: 1, text: 'the light is low .' },
      { id: 2, task: 'light', text: 'the light is bright .' },
      { id: 3, text: 'the light is low .', given: { light: 'sunny' } },
    ];
    await writeRows(at('questions.jsonl'), questions);
    const { code, out } = await run([
      'ask',
      at('run'),
      '--task',
      'lamp',
      '--questions',
      at('questions.jsonl'),
    ]);
    expect(code).toBe(0);
    const lines = linesOf(out);
    expect(lines.map(({ id, task }) => [id, task])).toEqual([
      [1, 'lamp'],
      [2, 'light'],
      [3, 'lamp'],
    ]);
    const [alone] = linesOf((await run(['ask', at('run'), ...low, '--json'])).out);
    expect(lines[0]?.probability).toBeCloseTo(alone?.probability ?? 0, 5);
  });

  test('reports every problem of a file of questions with its line, and asks nothing', async () => {
    await writeRows(at('bad.jsonl'), [
      { text: 'the light is low .' },
      { task: 'lampe', text: 'the light is low .' },
      { task: 'lamp' },
      { task: 'lamp', txt: 'the light is low .' },
      { task: 'lamp', text: 'dim', given: { light: 'suny', lamp: 'yes' } },
      { task: 'light', text: 'dim', image: 'a.png' },
    ]);
    const { code, out, err } = await run(['ask', at('run'), '--questions', at('bad.jsonl')]);
    expect({ code, out: out.trim() }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/line 1: "task" is missing/);
    expect(err).toMatch(/line 2: .*no task "lampe"; did you mean "lamp"\?/);
    expect(err).toMatch(/line 3: task "light" has a slot \{text\}, but no text is given/);
    expect(err).toMatch(/line 4: unknown key "txt"; did you mean "text"\?/);
    expect(err).toMatch(
      /line 5: the given answer "suny" is not a label of task "light" .*did you mean "sunny"/,
    );
    expect(err).toMatch(/line 5: an answer of "lamp" is given, but task "lamp" asks only for those of light/);
    expect(err).toMatch(/line 6: an image is given, but task "light" has no image among its inputs/);
  });

  test('finds questions that are longer than the context before it asks any', async () => {
    const long = 'the light is low . '.repeat(300);
    await writeRows(at('long.jsonl'), [{ text: 'the light is low .' }, { text: long }]);
    const many = await run(['ask', at('run'), '--task', 'light', '--questions', at('long.jsonl')]);
    expect({ ...many, out: many.out.trim(), err: '' }).toEqual({ code: 2, out: '', err: '' });
    expect(many.err).toMatch(
      /long\.jsonl:\n {2}line 2: the row has \d+ tokens .*but the model has 512 positions/,
    );
    expect((await run(['ask', at('run'), '--text', long])).err).toMatch(/the question:\n {2}.*512 positions/);
  });

  test('finds a model that has moved only with --model, and takes no other model for it', async () => {
    await cp(at('run'), at('elsewhere'), { recursive: true });
    const other = await run(['ask', at('run'), ...low, '--model', at('light')]);
    expect(other.code).toBe(2);
    await cp(baseModel, at('other-model'), { recursive: true });
    await writeRows(at('other-model/generation_config.json'), [{ eos_token_id: 3 }]);
    const foreign = await run(['ask', at('run'), ...low, '--model', at('other-model')]);
    expect(foreign.code).toBe(2);
    expect(foreign.err).toMatch(/is not the model that .* was trained on \(another configuration\)/);
  });
});

describe('contextlora eval', () => {
  test("measures all tasks on the run's own test sets, end to end and with the right answers of parents", async () => {
    const { code, out, err } = await run(['eval', at('run'), '--json', at('eval.json')]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/light +test +2 +100\.0 % +34\.2 – 100\.0 % +1\.000/);
    expect(out).toMatch(/lamp +test +2 +100\.0 % .* 100\.0 %\n/);
    expect(out).toMatch(/lamp on test: right ↓ given → +yes +no\n-.*\nyes +1 +0\nno +0 +1/);
    const { sets } = JSON.parse(await readFile(at('eval.json'), 'utf8')) as {
      sets: Record<string, unknown>[];
    };
    expect(sets[1]).toMatchObject({
      task: 'lamp',
      accuracy: 1,
      parents: { light: 1 },
      withGoldParents: { accuracy: 1 },
    });
  });

  test('measures a task on new rows, and tells errors of parents from its own', async () => {
    // The text says low, which the light takes for night; the rows say that it was sunny.
    await writeRows(at('new.jsonl'), [
      { text: 'the light is low .', parents: { light: 'sunny' }, answer: 'yes' },
      { text: 'the light is bright .', parents: { light: 'sunny' }, answer: 'no' },
    ]);
    const { code, out } = await run([
      'eval',
      at('run'),
      '--file',
      `lamp=${at('new.jsonl')}`,
      '--json',
      at('new.json'),
    ]);
    expect(code).toBe(0);
    expect(out).not.toMatch(/^light +test/m);
    const { sets } = JSON.parse(await readFile(at('new.json'), 'utf8')) as {
      sets: Record<string, unknown>[];
    };
    expect(sets).toHaveLength(1);
    expect(sets[0]).toMatchObject({ task: 'lamp', test: 'new.jsonl', accuracy: 1, parents: { light: 0.5 } });
  });

  test('warns when rows are no longer those of the run, and refuses bad ones with their line', async () => {
    await cp(at('light'), at('changed'), { recursive: true });
    await writeRows(at('light/light.jsonl'), [{ text: 'the light is low .', answer: 'sunny' }]);
    const { out } = await run(['eval', at('run'), '--task', 'light']);
    expect(out).toMatch(/warning: the test rows "test" of task "light" have changed since the run was made/);
    expect(out).toMatch(/light +test +1 +0\.0 %/);
    await writeRows(at('light/light.jsonl'), [{ text: 'the light is low .', answer: 'nigth' }]);
    const bad = await run(['eval', at('run'), '--task', 'light']);
    expect(bad.code).toBe(2);
    expect(bad.err).toMatch(/light\.jsonl:\n {2}line 1: answer "nigth" is not a label/);
    const elsewhere = await run(['eval', at('run'), '--task', 'light', '--data', at('changed')]);
    expect(elsewhere.out).toMatch(/light +test +2 +100\.0 %/);
  });
});

test('a task without test rows is said to have none, and has no accuracy', async () => {
  const taskFile = await writeLightTasks(at('untested'));
  const source = await readFile(taskFile, 'utf8');
  await writeFile(taskFile, source.replace(', test: { test: light.jsonl }', ''));
  const { code, out, err } = await trainLight(taskFile, at('untested-run'), { more: ['--steps', '2'] });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/light +50\.0 % +no test rows\n/);
  expect(out).toMatch(/lamp +50\.0 % +\d+\.\d %/);
  expect(out).toMatch(/macro average of 1 /);
});

describe('contextlora export', () => {
  const prompt = 'the light is low . light night . lamp ?';
  const labels = ['yes', 'no'];

  test('writes PEFT adapters with the name of their base', async () => {
    const { code, out } = await run(['export', at('run'), '--format', 'peft', '--out', at('peft')]);
    expect(code).toBe(0);
    expect(out).toMatch(/lamp\/ +a PEFT adapter of /);
    const written = await readPeftFolder(at('peft/lamp'));
    const own = await readPeftFolder(at('run/adapters/lamp'));
    expect(written.modules).toEqual(own.modules);
    expect(written.config['base_model_name_or_path']).toBe(baseModel);
    const again = await run([
      'export',
      at('run'),
      '--format',
      'peft',
      '--out',
      at('peft'),
      '--base',
      'org/name',
    ]);
    expect(again.code).toBe(2);
    expect(again.err).toMatch(/exists, and nothing is replaced/);
  });

  test('writes a merged model that answers as the base with the segments does', async () => {
    const { code } = await run([
      'export',
      at('run'),
      '--task',
      'lamp',
      '--format',
      'merged',
      '--out',
      at('merged'),
    ]);
    expect(code).toBe(0);
    const [asked] = linesOf((await run(['ask', at('run'), ...low, '--given', 'light=night', '--json'])).out);
    const merged = await loadModel(at('merged/lamp'), { kernels: await openKernels() });
    const scores = await scoreLabels(merged, prompt, labels);
    merged.dispose();
    const total = scores.reduce((sum, { logProbability }) => sum + Math.exp(logProbability), 0);
    for (const { label, logProbability } of scores)
      expect(Math.exp(logProbability) / total).toBeCloseTo(asked?.answers.at(-1)?.labels?.[label] ?? NaN, 4);
    expect(await readdir(at('merged/lamp'))).toEqual(
      expect.arrayContaining(['config.json', 'tokenizer.json']),
    );
  });

  test('writes GGUF adapters, and refuses options that a format does not have', async () => {
    expect((await run(['export', at('run'), '--format', 'gguf', '--out', at('gguf')])).code).toBe(0);
    expect((await readFile(at('gguf/lamp.gguf'))).subarray(0, 4).toString()).toBe('GGUF');
    const named = await run([
      'export',
      at('run'),
      '--format',
      'gguf',
      '--out',
      at('gguf-2'),
      '--base',
      'org/name',
    ]);
    expect(named.err).toMatch(/--base is the name that a PEFT folder has/);
    const format = await run(['export', at('run'), '--format', 'onnx', '--out', at('onnx')]);
    expect(format.code).toBe(2);
    expect(format.err).toMatch(/Allowed choices are peft, merged, gguf/);
  });
});

describe('a stopped run', () => {
  test('is used for the tasks that it has finished, and refused for the others by name', async () => {
    const asked = await run(['ask', at('stopped'), '--task', 'light', ...low]);
    expect(asked.out).toMatch(/^light {2}night/);
    const early = await run(['ask', at('stopped'), '--task', 'lamp', ...low]);
    expect(early.code).toBe(2);
    expect(early.err).toMatch(/stopped before it had trained task "lamp"/);
    const chat = ['chat', '--plain', '--prompt', 'the light is low . light ?', '--max-tokens', '3'];
    const chatted = await run([...chat, '--adapter', at('stopped'), '--task', 'light']);
    expect(chatted).toMatchObject({ code: 0, out: ' night\n' });
    expect((await run([...chat, '--adapter', at('stopped'), '--task', 'lamp'])).err).toMatch(
      /had trained task "lamp"/,
    );
    const exported = await run(['export', at('stopped'), '--format', 'peft', '--out', at('of-stopped')]);
    expect(exported.out).toMatch(/not exported, because the run was stopped before it trained them: lamp/);
    expect(await readdir(at('of-stopped'))).toEqual(['light']);
    expect((await readPeftFolder(at('of-stopped/light'))).modules).toEqual(
      (await readPeftFolder(at('run/adapters/light'))).modules,
    );
  });
});

describe('contextlora inspect', () => {
  test('says what a run was made from, and in what two differ', async () => {
    const { code, out } = await run(['inspect', at('run')]);
    expect(code).toBe(0);
    expect(out).toMatch(/^run .*run\n/);
    expect(out).toMatch(/the seed +0\n/);
    expect(out).toMatch(/segment lamp +[0-9a-f]{64}/);
    const both = await run(['inspect', at('run'), at('stopped')]);
    expect(both.out).toMatch(/state +finished +stopped/);
    expect(both.out).toMatch(/only the one has lamp: \d+ tensors/);
    expect(both.out).toMatch(/\d+ tensors are equal in every bit\n$/);
    expect(both.out).not.toMatch(/tensors that differ/);
  });

  test('tells adapters apart by module and number, and finds a model equal to itself', async () => {
    const adapters = await run(['inspect', at('run/adapters/light'), at('run/adapters/lamp'), '--json']);
    const { tensors, facts } = JSON.parse(adapters.out) as { tensors: object[]; facts: { name: string }[] };
    expect(tensors.length).toBeGreaterThan(0);
    expect(facts.map(({ name }) => name)).toContain('r');
    const models = await run(['inspect', baseModel, baseModel]);
    expect(models.out).toMatch(/^all \d+ tensors are equal in every bit\n$/);
    const unknown = await run(['inspect', at('light')]);
    expect(unknown.code).toBe(2);
    expect(unknown.err).toMatch(/name a run, its checkpoints or partition, a PEFT folder/);
  });
});
