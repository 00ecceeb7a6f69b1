import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { runCommand as run } from './run-command.js';

const model = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/model/package.json')),
  'test/fixtures/qwen2audio-tiny',
);

/** A WAV of a tone, 16 kHz and 16 bits. */
function tone(hertz: number, phase: number, seconds = 0.3): Buffer {
  const samples = Math.round(16_000 * seconds);
  const bytes = Buffer.alloc(44 + 2 * samples);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(36 + 2 * samples, 4);
  bytes.write('WAVEfmt ', 8);
  for (const [at, value] of [[16, 16], [24, 16_000], [28, 32_000], [40, 2 * samples]] as const) bytes.writeUInt32LE(value, at); // prettier-ignore
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]] as const) bytes.writeUInt16LE(value, at); // prettier-ignore
  bytes.write('data', 36);
  for (let i = 0; i < samples; i++)
    bytes.writeInt16LE(Math.round(9000 * Math.sin(phase + (2 * Math.PI * hertz * i) / 16_000)), 44 + 2 * i);
  return bytes;
}

const tasks = `
version: 1
tasks:
  - id: sound
    instruction: 'what is that ?'
    inputs: [audio]
    answer: { type: label, labels: [siren, engine] }
    data: { train: train, test: { test: test } }
  - id: act
    dependsOn: [sound]
    instruction: 'the sound is {sound} . what now ?'
    inputs: [text]
    answer: { type: label, labels: [stop, go] }
    data: { train: act.jsonl, test: { test: act.test.jsonl } }
`;

let directory: string;
const at = (...parts: string[]) => join(directory, ...parts);
const train = (out: string, more: readonly string[] = []) =>
  run([
    ...['train', at('tasks.yaml'), '--model', model, '--out', at(out), '--rank', '8', '--steps', '24'],
    ...['--batch-size', '4', '--learning-rate', '0.02', ...more],
  ]);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'contextlora-hearing-'));
  await writeFile(at('tasks.yaml'), tasks);
  for (const split of ['train', 'test'])
    for (const [label, hertz] of [
      ['siren', 2500],
      ['engine', 150],
    ] as const) {
      await mkdir(at(split, label), { recursive: true });
      for (let i = 0; i < (split === 'train' ? 4 : 2); i++)
        await writeFile(
          at(split, label, `${i}.wav`),
          tone(hertz * (1 + 0.02 * i), i, split === 'train' ? 0.3 : 0.25),
        );
    }
  const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const rows = [
    { parents: { sound: 'siren' }, answer: 'stop' },
    { parents: { sound: 'engine' }, answer: 'go' },
  ];
  await writeFile(at('act.jsonl'), lines(rows));
  await writeFile(
    at('act.test.jsonl'),
    lines(rows.map((row) => ({ ...row, audio: `test/${row.parents.sound}/1.wav` }))),
  );
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('a run that hears', () => {
  test('is trained on folders of sounds, asked about one and evaluated', async () => {
    const { code, err, out } = await train('run');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('certificate: sound');
    for (const [label, answer] of [
      ['siren', 'stop'],
      ['engine', 'go'],
    ] as const) {
      const asked = await run(['ask', at('run'), '--audio', at('test', label, '1.wav')]);
      expect([asked.code, asked.err]).toEqual([0, '']);
      expect(asked.out).toMatch(new RegExp(`^sound {2}${label} .*\nact {4}${answer} `));
    }
    const evaluated = await run(['eval', at('run'), '--json', at('eval.json')]);
    expect([evaluated.code, evaluated.err]).toEqual([0, '']);
    expect(await readFile(at('eval.json'), 'utf8')).toContain('"accuracy": 1');
  });

  test('has the same adapters from worker threads, of which the first hears', async () => {
    const { code, err } = await train('alone', ['--steps', '2', '--micro-batches', '2']);
    expect([code, err]).toEqual([0, '']);
    expect((await train('together', ['--steps', '2', '--micro-batches', '2', '--workers', '2'])).code).toBe(
      0,
    );
    for (const task of ['sound', 'act']) {
      const read = (out: string) => readFile(at(out, 'adapters', task, 'adapter_model.safetensors'));
      expect((await read('together')).equals(await read('alone'))).toBe(true);
    }
  });

  test('asks through the chat template too', async () => {
    await writeFile(at('train.yaml'), 'chatTemplate: true\n');
    const { code, err } = await train('chat', ['--steps', '2', '--config', at('train.yaml')]);
    expect([code, err]).toEqual([0, '']);
    expect((await run(['ask', at('chat'), '--audio', at('test/siren/0.wav')])).code).toBe(0);
  });

  test('is told what it would take', async () => {
    const { code, err, out } = await train('none', ['--dry-run']);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/sounds \d/);
  });
});

describe('what cannot be heard is refused', () => {
  test('before training, with its place', async () => {
    await writeFile(at('train/siren/9.wav'), tone(2500, 0, 1.2));
    await writeFile(at('train/engine/9.wav'), 'RIFF');
    const damaged = await train('refused');
    expect(damaged.code).toBe(2);
    expect(damaged.err).toMatch(/sound 5: .*engine\/9\.wav as a sound: it is a RIFF file/);
    await rm(at('train/engine/9.wav'));
    const long = await train('refused');
    await rm(at('train/siren/9.wav'));
    expect(long.code).toBe(2);
    expect(long.err).toMatch(
      /siren\/9\.wav is 1\.2 seconds long, and the model hears the first 1 seconds; cut it/,
    );
  });

  test('in a question', async () => {
    const none = await run(['ask', at('run')]);
    expect([none.code, none.err]).toEqual([
      2,
      expect.stringContaining('task "sound" takes a sound, but none is given'),
    ]);
    const given = await run(['ask', at('run'), '--given', 'sound=siren', '--audio', at('test/siren/0.wav')]);
    expect(given.err).toContain('a sound is given, but task "act" has no audio among its inputs');
    const other = await run(['ask', at('run'), '--audio', at('tasks.yaml')]);
    expect(other.err).toContain('as a sound: it is a file of another kind');
  });

  test('by a model without an audio tower', async () => {
    const deaf = join(dirname(model), 'llama-tiny');
    const { code, err } = await run([
      'chat',
      '--model',
      deaf,
      '--prompt',
      'x',
      '--audio',
      at('test/siren/0.wav'),
    ]);
    expect([code, err]).toEqual([
      2,
      expect.stringContaining('the model has no audio tower, so it cannot hear'),
    ]);
  });
});

test('contextlora chat takes a sound with the first message, with and without the chat template', async () => {
  const sound = [
    '--model',
    model,
    '--prompt',
    'what is that ?',
    '--audio',
    at('test/siren/0.wav'),
    '--max-tokens',
    '4',
  ];
  const other = [...sound.slice(0, 5), at('test/engine/0.wav'), ...sound.slice(6), '--plain'];
  const [chat, plain, heard] = [
    await run(['chat', ...sound]),
    await run(['chat', ...sound, '--plain']),
    await run(['chat', ...other]),
  ];
  for (const { code, err, out } of [chat, plain, heard]) {
    expect([code, err]).toEqual([0, '']);
    expect(out.length).toBeGreaterThan(1);
  }
  expect(plain.out).not.toBe(heard.out);
});
