import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  prepareRun,
  type PreparedRun,
  readTaskData,
  recordRun,
  type RunRecord,
  type RunEvent,
  type RunReport,
  type TaskData,
  trainRun,
  type TrainSettings,
  writeRun,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { readPartition, readPeftFolder } from '@contextlora/lora/files';
import { type LoadedModel, loadModel } from '@contextlora/model';
import type { Checkpoint, CheckpointStore } from '@contextlora/trainer';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { taskFile, writeScenario } from './light-scenario.js';

const baseModel = join(
  dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json')),
  'models/iov-base',
);
const settings = { seed: 3, rank: 8, steps: { light: 12, lamp: 16 }, batchSize: 2, learningRate: 1e-2 };

let directory: string;
let base: LoadedModel;
let data: TaskData;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'finetune-run-'));
  data = await readTaskData(await writeScenario(join(directory, 'light')));
  base = await loadModel(baseModel, { kernels: await openKernels({ threads: 1 }) });
});
afterAll(async () => {
  base.dispose();
  await rm(directory, { recursive: true, force: true });
});

const inMemory = (): CheckpointStore => {
  let kept: Checkpoint | undefined;
  return {
    load: () => Promise.resolve(kept),
    save(checkpoint) {
      kept = checkpoint;
      return Promise.resolve();
    },
  };
};

/** All events up to the first that `stop` accepts. */
async function eventsOf(
  run: PreparedRun,
  {
    checkpoints = inMemory(),
    stop,
  }: { checkpoints?: CheckpointStore; stop?: (event: RunEvent) => boolean } = {},
): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of trainRun(run, { settings, checkpoints })) {
    events.push(event);
    if (stop?.(event)) break;
  }
  return events;
}

function recordOf(events: readonly RunEvent[]): RunRecord {
  const { record, add } = recordRun({ clock: () => 0 });
  events.forEach(add);
  return record;
}

describe('a run', () => {
  test('trains each task in its phase, learns, keeps finished tasks to the bit, and can be read back', async () => {
    const run = prepareRun(base, data, { settings });
    const events = await eventsOf(run);

    const outline = events
      .filter(({ type }) => type !== 'step')
      .map((event) =>
        event.type === 'evaluated' ? `${event.task} on ${event.test}, ${event.when}` : event.type,
      );
    expect(outline).toEqual([
      ...['phaseStart', 'phaseEnd', 'light on test, afterOwnPhase', 'light on other, afterOwnPhase'],
      ...['phaseStart', 'phaseEnd', 'lamp on test, afterOwnPhase'],
      ...['light on test, final', 'light on other, final', 'lamp on test, final'],
    ]);
    const steps = events.flatMap((event) => (event.type === 'step' ? [event.task] : []));
    expect(steps).toEqual([...new Array<string>(12).fill('light'), ...new Array<string>(16).fill('lamp')]);

    const evaluations = events.flatMap((event) => (event.type === 'evaluated' ? [event] : []));
    const of = (task: string, when: string, test = 'test') =>
      evaluations.find((one) => one.task === task && one.when === when && one.test === test);
    expect(of('light', 'final')?.accuracy).toBe(1);
    expect(of('lamp', 'final')?.accuracy).toBe(1);
    expect(of('light', 'final', 'other')?.accuracy).toBe(0);
    for (const test of ['test', 'other'])
      expect(of('light', 'final', test)?.predictions).toEqual(
        of('light', 'afterOwnPhase', test)?.predictions,
      );

    const out = join(directory, 'out');
    const segments = run.model.segments();
    const report = { name: 'Light' } as RunReport;
    const written = await writeRun(out, {
      partition: run.partition,
      segments,
      report,
      baseModel: 'some/model',
    });
    expect(await readPartition(join(out, 'partition'))).toMatchObject({ partition: run.partition, segments });
    expect(JSON.parse(await readFile(join(out, 'report.json'), 'utf8'))).toEqual(report);
    expect((await readdir(join(out, 'adapters'))).sort()).toEqual(['lamp', 'light']);
    for (const folder of ['adapters/light', 'partition/segments/lamp'])
      expect((await readPeftFolder(join(out, folder))).config['base_model_name_or_path']).toBe('some/model');
    // The lamp needs the light's ranks too.
    const [ranks = 0] = Object.values((await readPeftFolder(join(out, 'adapters/light'))).modules).map(
      ({ a }) => a.length,
    );
    const [composed = 0] = Object.values((await readPeftFolder(join(out, 'adapters/lamp'))).modules).map(
      ({ a }) => a.length,
    );
    expect(composed).toBe(2 * ranks);
    expect(written.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['partition/', 'adapters/light/', 'adapters/lamp/', 'report.json']),
    );
  });

  test('stopped in the middle of a phase and resumed gives the same segments and evaluations', async () => {
    const whole = prepareRun(base, data, { settings });
    const wholeEvents = await eventsOf(whole);
    const checkpoints = inMemory();
    const stopped = prepareRun(base, data, { settings });
    await eventsOf(stopped, {
      checkpoints,
      stop: (event) => event.type === 'step' && event.task === 'lamp' && event.step === 6,
    });
    expect(stopped.model.segments()['lamp']).not.toEqual(whole.model.segments()['lamp']);

    const resumed = prepareRun(base, data, { settings });
    const events = await eventsOf(resumed, { checkpoints });
    expect(events[0]).toMatchObject({ type: 'resume', position: { phase: 1, step: 7 } });
    expect(events.filter(({ type }) => type === 'step')).toHaveLength(9);
    for (const task of ['light', 'lamp'])
      expect(await resumed.model.hashSegment(task)).toBe(await whole.model.hashSegment(task));
    expect(recordOf(events)).toEqual(recordOf(wholeEvents));
  });

  test('on a base in integers, keeps finished tasks to the bit, and resumed ends with the same segments', async () => {
    const integers = await loadModel(baseModel, { kernels: base.kernels, base: 'w8a8' });
    const whole = prepareRun(integers, data, { settings });
    await eventsOf(whole, { stop: ({ type }) => type === 'phaseEnd' });
    const light = await whole.model.hashSegment('light');
    const checkpoints = inMemory();
    await eventsOf(prepareRun(integers, data, { settings }), {
      checkpoints,
      stop: (event) => event.type === 'step' && event.task === 'lamp' && event.step === 6,
    });
    const resumed = prepareRun(integers, data, { settings });
    const again = prepareRun(integers, data, { settings });
    await eventsOf(resumed, { checkpoints });
    await eventsOf(again);
    for (const task of ['light', 'lamp'])
      expect(await resumed.model.hashSegment(task)).toBe(await again.model.hashSegment(task));
    expect(await resumed.model.hashSegment('light')).toBe(light);
    integers.dispose();
  });

  test('killed at any event and resumed, records what an uninterrupted one records', async () => {
    const wholeEvents = await eventsOf(prepareRun(base, data, { settings }));
    const whole = recordOf(wholeEvents);
    expect(whole.losses).toHaveLength(28);
    expect(whole.certificates).toHaveLength(2);
    expect(whole.evaluations.size).toBe(6);
    // At a step, at the last step of a phase, at the phase's end, among its evaluations, among the last ones.
    for (const stopAt of [7, 13, 14, 16, 35]) {
      const checkpoints = inMemory();
      let seen = 0;
      await eventsOf(prepareRun(base, data, { settings }), { checkpoints, stop: () => ++seen === stopAt });
      const resumed = recordOf(await eventsOf(prepareRun(base, data, { settings }), { checkpoints }));
      expect({ stopAt, ...resumed }).toEqual({ stopAt, ...whole });
      // The order too, which is that of the lines in metrics.jsonl.
      expect([...resumed.evaluations.keys()]).toEqual([...whole.evaluations.keys()]);
    }
  }, 120_000);

  test('does not go on from a checkpoint whose metrics are missing or damaged', async () => {
    const checkpoints = inMemory();
    await eventsOf(prepareRun(base, data, { settings }), {
      checkpoints,
      stop: ({ type }) => type === 'phaseEnd',
    });
    const kept = await checkpoints.load();
    expect(Object.keys(kept?.files ?? {})).toContain('metrics.jsonl');
    const { 'metrics.jsonl': metrics, ...files } = kept!.files;
    const damaged = { ...files, 'metrics.jsonl': metrics!.subarray(5) };
    for (const changed of [files, damaged]) {
      await checkpoints.save({ ...kept!, files: changed });
      await expect(eventsOf(prepareRun(base, data, { settings }), { checkpoints })).rejects.toMatchObject({
        code: 'FINETUNE_RUN_DAMAGED',
      });
    }
  });

  test('whose loss is not finite ends with an error that names task, step and rate, and keeps the last good checkpoint', async () => {
    let calls = 0;
    const linearCrossEntropy: LoadedModel['kernels']['linearCrossEntropy'] = (...given) => {
      const result = base.kernels.linearCrossEntropy(...given);
      // Each step of a label task has two losses.
      return ++calls === 29 ? { ...result, loss: NaN } : result;
    };
    const broken = { ...base, kernels: { ...base.kernels, linearCrossEntropy } };
    const checkpoints = inMemory();
    const run = prepareRun(broken, data, { settings });
    const attempt = eventsOf(run, { checkpoints });
    await expect(attempt).rejects.toThrow(
      /task "lamp", step 3 of 16, learning rate 0\.0\d+: the loss is NaN.*not applied.*lower learning rate/,
    );
    expect((await checkpoints.load())?.position).toMatchObject({ phase: 1, step: 0 });
    const resumed = prepareRun(base, data, { settings });
    const whole = prepareRun(base, data, { settings });
    await eventsOf(resumed, { checkpoints });
    await eventsOf(whole);
    expect(await resumed.model.hashSegment('lamp')).toBe(await whole.model.hashSegment('lamp'));
  });

  test.each<[Partial<TrainSettings>, RegExp]>([
    [{ steps: 0 }, /steps must be a whole number/],
    [
      { steps: { light: 12, lam: 16 } },
      /"steps" names "lam".*did you mean "lamp"\?\n.*no number for task "lamp"/,
    ],
    [{ batchSize: 0 }, /batchSize must be/],
    [{ seed: NaN }, /seed must be/],
    [{ learningRate: 0 }, /the peak must be a number above 0/],
    [{ learningRate: 1e6 }, /the learning rate is 50000 at step 1 of 12/],
    [{ rank: 0 }, /rank 0 cannot be shared/],
    [{ rank: 100_000 }, /more ranks than any linear of the model can hold/],
  ])('is not prepared with settings out of sense: %j', (setting, message) => {
    expect(() => prepareRun(base, data, { settings: { ...settings, ...setting } })).toThrow(message);
  });

  test('gives a task the ranks of its share', async () => {
    const shared = await readTaskData(
      await writeScenario(join(directory, 'share'), {
        tasks: taskFile.replace('  - id: lamp', '  - id: lamp\n    share: 3'),
      }),
    );
    const widths = (given: TaskData) =>
      Object.values(prepareRun(base, given, { settings }).partition.layers).map(({ spans }) =>
        Object.values(spans).map(({ start, end }) => end - start),
      );
    // One each, and the remaining six as one to three.
    expect(widths(shared)[0]).toEqual([3, 5]);
    expect(widths(data)[0]).toEqual([4, 4]);
  });

  test('evaluates the validation rows of each task when its phase ends, and on resuming', async () => {
    const validated = await readTaskData(
      await writeScenario(join(directory, 'validation'), {
        tasks: taskFile.replace(
          '{ train: lamp.train.jsonl,',
          '{ train: lamp.train.jsonl, validation: lamp.test.jsonl,',
        ),
      }),
    );
    const checkpoints = inMemory();
    const outline = (events: readonly RunEvent[]) =>
      events.flatMap((event) =>
        event.type === 'evaluated' ? [`${event.task} on ${event.test}, ${event.when}`] : [],
      );
    const evaluationsOf = (events: readonly RunEvent[]) => {
      const { record, add } = recordRun({ clock: () => 0 });
      events.forEach(add);
      return record.evaluations;
    };
    const events = await eventsOf(prepareRun(base, validated, { settings }), { checkpoints });
    expect(outline(events).slice(2, 4)).toEqual([
      'lamp on validation, validation',
      'lamp on test, afterOwnPhase',
    ]);
    expect(events.find((event) => event.type === 'evaluated' && event.when === 'validation')).toMatchObject({
      accuracy: 1,
    });
    const resumed = await eventsOf(prepareRun(base, validated, { settings }), { checkpoints });
    expect(evaluationsOf(resumed)).toEqual(evaluationsOf(events));
  });

  test('with other inputs is not resumed from its checkpoint', async () => {
    const checkpoints = inMemory();
    await eventsOf(prepareRun(base, data, { settings }), {
      checkpoints,
      stop: ({ type }) => type === 'phaseEnd',
    });
    const events = trainRun(prepareRun(base, data, { settings }), {
      settings,
      checkpoints,
      fingerprint: { data: 'other' },
    });
    await expect(events.next()).rejects.toThrow(/belongs to another run/);
  });
});
