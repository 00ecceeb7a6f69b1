import { execFileSync } from 'node:child_process';
import { appendFile, cp, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  answerQuestion,
  type FinetuneError,
  openRun,
  openRunDirectory,
  prepareRun,
  type PreparedRun,
  readTaskData,
  requireTrained,
  type RunReport,
  trainRun,
  writeRun,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { createLocalModel, type LoadedModel, loadModel } from '@contextlora/model';
import { fileCheckpoints } from '@contextlora/trainer/files';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { writeScenario } from './light-scenario.js';

const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);
const settings = { seed: 3, rank: 8, steps: { light: 12, lamp: 16 }, batchSize: 2, learningRate: 1e-2 };
const inputs = { 'the seed': '3', 'the training rows of task "light"': 'a'.repeat(64) };

let directory: string;
let base: LoadedModel;
let whole: PreparedRun;
/** Trains in a directory to the end, or until one step of the lamp is done. */
async function trainIn(out: string, { stop = false } = {}): Promise<PreparedRun> {
  const data = await readTaskData(join(directory, 'light/tasks.yaml'));
  await using run = await openRunDirectory(out, { kind: 'train' });
  const prepared = prepareRun(base, data, { settings });
  await run.begin(inputs);
  await run.describe({
    file: data.file,
    dataDirectory: stop ? join(out, 'scenes') : at('light'),
    model: { name: 'some/model', path: baseModel, digests: { weights: 'b'.repeat(64) } },
    settings,
    inputs,
    partition: prepared.partition,
    phases: prepared.phases,
  });
  const checkpoints = fileCheckpoints(join(out, 'checkpoints'));
  for await (const event of trainRun(prepared, { settings, checkpoints, fingerprint: inputs }))
    if (stop && event.type === 'step' && event.task === 'lamp') return prepared;
  await run.finish((folder) =>
    writeRun(folder, {
      partition: prepared.partition,
      segments: prepared.model.segments(),
      report: { name: 'Light' } as RunReport,
    }),
  );
  return prepared;
}
const at = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'finetune-open-'));
  await writeScenario(at('light'));
  base = await loadModel(baseModel, { kernels: await openKernels({ threads: 1 }) });
  whole = await trainIn(at('finished'));
  await trainIn(at('stopped'), { stop: true });
});
afterAll(async () => {
  base.dispose();
  await rm(directory, { recursive: true, force: true });
});

describe('a run opened for use', () => {
  test('has everything that it was made from, and the segments that it trained', async () => {
    const run = await openRun(at('finished'));
    expect(run).toMatchObject({ kind: 'train', isFinished: true, settings, inputs });
    expect(run.model).toEqual({ name: 'some/model', path: baseModel, digests: { weights: 'b'.repeat(64) } });
    expect(run.graph.getNodeAttributes('lamp')).toEqual(whole.data.graph.getNodeAttributes('lamp'));
    expect(run.trainedTasks).toEqual(['light', 'lamp']);
    expect(run.segments).toEqual(whole.model.segments());
    const model = createLocalModel(base, run);
    const lines = await answerQuestion(model, run.graph, {
      task: 'lamp',
      input: { text: 'the light is low .' },
    });
    expect(lines.map(({ answer }) => answer)).toEqual(['night', 'yes']);
  });

  test('has, when it was stopped, the tasks that were finished, to the byte, and refuses the others by name', async () => {
    const run = await openRun(at('stopped'));
    expect(run).toMatchObject({ isFinished: false, trainedTasks: ['light'] });
    expect(run.segments).toEqual({ light: whole.model.segments()['light'] });
    requireTrained(run, 'light');
    expect(() => {
      requireTrained(run, 'lamp');
    }).toThrow(/stopped before it had trained task "lamp"; it has light; "contextlora train … --resume"/);
    expect(() => {
      requireTrained(run, 'lights');
    }).toThrow(/no task "lights"; did you mean "light"\?/);
  });

  test('may lie elsewhere than where it was made, and finds data within it there', async () => {
    await cp(at('stopped'), at('moved'), { recursive: true });
    const [moved, unmoved] = [await openRun(at('moved')), await openRun(at('finished'))];
    expect(moved.trainedTasks).toEqual(['light']);
    expect(moved.dataDirectory).toBe(at('moved/scenes'));
    expect(unmoved.dataDirectory).toBe(at('light'));
  });

  test('is read although its checkpoint is replaced meanwhile', async () => {
    await cp(at('stopped'), at('going-on'), { recursive: true });
    const checkpoints = fileCheckpoints(join(at('going-on'), 'checkpoints'));
    const saved = (await checkpoints.load())!;
    // Whoever reads a pipe waits until somebody writes to it.
    const pipe = join(at('going-on'), 'checkpoints/phase-1-step-1/segments.safetensors');
    await rm(pipe);
    execFileSync('mkfifo', [pipe]);
    const opened = openRun(at('going-on'));
    const writer = await open(pipe, 'w');
    await checkpoints.save({ ...saved, position: { ...saved.position, step: 2 } });
    await writer.writeFile('gone');
    await writer.close();
    expect((await opened).trainedTasks).toEqual(['light']);
  });

  const copyOf = async (name: string, change: (copy: string) => Promise<unknown>) => {
    const copy = at(`${name}-damaged`);
    await rm(copy, { recursive: true, force: true });
    await cp(at(name), copy, { recursive: true });
    await change(copy);
    return openRun(copy).then(
      () => 'opened',
      (error: unknown) => (error as FinetuneError).code,
    );
  };

  test('is refused when any of its files is not as it was written, or it is none', async () => {
    const edit = (file: string, from: string, to: string) => async (copy: string) => {
      const text = await readFile(join(copy, file), 'utf8');
      expect(text).toContain(from);
      await writeFile(join(copy, file), text.replace(from, to));
    };
    expect(await copyOf('finished', edit('run.json', '"rank": 8', '"rank": 9'))).toBe('FINETUNE_RUN_DAMAGED');
    expect(await copyOf('finished', (copy) => rm(join(copy, 'run.json')))).toBe('FINETUNE_RUN_DAMAGED');
    expect(
      await copyOf('finished', (copy) => cp(join(at('stopped'), 'run.json'), join(copy, 'run.json'))),
    ).toBe('FINETUNE_RUN_DAMAGED');
    const segment = 'partition/segments/light/adapter_model.safetensors';
    expect(await copyOf('finished', (copy) => appendFile(join(copy, segment), ' '))).toBe(
      'LORA_SEGMENT_CHANGED',
    );
    const checkpoint = 'checkpoints/phase-1-step-1/segments.safetensors';
    expect(await copyOf('stopped', (copy) => appendFile(join(copy, checkpoint), ' '))).toBe(
      'TRAINER_CHECKPOINT_DAMAGED',
    );
    expect(
      await copyOf('stopped', (copy) => rename(join(copy, '.contextlora-run'), join(copy, 'other'))),
    ).toBe('FINETUNE_RUN_MISSING');
  });
});
