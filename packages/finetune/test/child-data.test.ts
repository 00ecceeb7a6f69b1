import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  type ChildDataSettings,
  digestRows,
  exampleOfGraph,
  FinetuneError,
  prepareRun,
  type PreparedRun,
  readTaskData,
  type TaskData,
  type RunEvent,
  trainingExamples,
  trainingSource,
  trainRun,
  type TrainSettings,
} from '@contextlora/finetune';
import { openKernels } from '@contextlora/kernels';
import { type Example, type LoadedModel, loadModel } from '@contextlora/model';
import { buildTaskGraph, renderInstruction, type TaskSpec } from '@contextlora/task-graph';
import type { Checkpoint, CheckpointStore, TaskRow } from '@contextlora/trainer';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { taskFile, writeScenario } from './light-scenario.js';

const task = (id: string, more: Partial<TaskSpec> = {}): TaskSpec => ({
  id,
  dependsOn: [],
  instruction: `${id} ?`,
  inputs: ['image'],
  answer: { type: 'label', labels: ['yes', 'no'] },
  data: {},
  ...more,
});
const wet = task('wet');
const stop = task('stop', {
  dependsOn: ['wet'],
  instruction: '{text} wet {wet} . stop ?',
  inputs: ['image', 'text'],
});
const rows = Array.from({ length: 400 }, (_, i): TaskRow => ({
  image: `${i}.png`,
  text: `row ${i} .`,
  parents: { wet: 'yes' },
  answer: 'no',
}));
const allNo = { wet: rows.map(() => 'no') };

const off = { predictedShare: 'none', imageDropout: 0, textDropout: 0 } as const;
/** The examples of a step for all rows. */
async function drawn(
  options: Partial<Parameters<typeof trainingSource>[2]> & { step?: number; of?: TaskSpec; from?: TaskRow[] },
): Promise<readonly Example[]> {
  const { step = 0, of = stop, from = rows, ...rest } = options;
  const source = trainingSource(of, from, { childData: off, seed: 1, ...rest });
  return 'draw' in source ? source.draw([...from.keys()], step) : source;
}
const shareOf = <T>(items: readonly T[], is: (item: T) => boolean) => items.filter(is).length / items.length;
const saysNo = ({ prompt }: Example) => prompt.includes('wet no');

describe("the parents' answers in training prompts", () => {
  test('are the right ones by default, in the same list as ever', async () => {
    expect(await drawn({})).toEqual(trainingExamples(stop, rows));
  });

  test('are the predicted ones of all rows, of a share of them, or of those without right ones', async () => {
    const predicted = allNo;
    const of = (predictedShare: number, from = rows) =>
      drawn({ childData: { ...off, predictedShare }, predicted, from });
    expect(shareOf(await of(1), saysNo)).toBe(1);
    expect(shareOf(await of(0), saysNo)).toBe(0);
    const half = await of(0.5);
    expect(shareOf(half, saysNo)).toBeGreaterThan(0.4);
    expect(shareOf(half, saysNo)).toBeLessThan(0.6);
    const bare = rows.map((row, i) => (i < 3 ? { ...row, parents: {} } : row));
    expect((await of(0, bare)).map(saysNo).lastIndexOf(true)).toBe(2);
  });

  test('of a row are chosen by seed, task and row alone', async () => {
    const of = (seed: number, from = rows, spec = stop) =>
      drawn({ childData: { ...off, predictedShare: 0.5 }, predicted: allNo, seed, from, of: spec });
    const whole = (await of(1)).map(saysNo);
    expect((await of(1, rows.slice(0, 50))).map(saysNo)).toEqual(whole.slice(0, 50));
    expect((await of(2)).map(saysNo)).not.toEqual(whole);
    expect((await of(1, rows, { ...stop, id: 'halt' })).map(saysNo)).not.toEqual(whole);
  });
});

describe('input dropout', () => {
  const dropping = (imageDropout: number, textDropout = 0) => ({ ...off, imageDropout, textDropout });

  test('leaves the example of a row without image, as in use, or without text', async () => {
    const graph = buildTaskGraph([wet, stop]);
    const inUse = (text: string) =>
      exampleOfGraph(graph)('stop', renderInstruction(stop, { text, answers: { wet: 'yes' } }), { text });
    const [example] = await drawn({ childData: dropping(1) });
    expect(example).toEqual({ ...inUse('row 0 .'), answer: 'no' });
    const [bare] = await drawn({ childData: dropping(1, 1) });
    expect(bare).toEqual({ ...inUse(''), answer: 'no' });
    expect(bare?.prompt).toBe('wet yes . stop ?');
  });

  test('drops at its rate, other rows in other steps, and the same again in the same step', async () => {
    const lost = async (step: number) =>
      (await drawn({ childData: dropping(0.3), step })).map(({ image }) => image === undefined);
    const first = await lost(0);
    const all = (await Promise.all([1, 2, 3, 4, 5, 6, 7, 8, 9].map(lost))).flat();
    expect(shareOf(all, Boolean)).toBeGreaterThan(0.27);
    expect(shareOf(all, Boolean)).toBeLessThan(0.33);
    expect(await lost(0)).toEqual(first);
    expect(await lost(1)).not.toEqual(first);
  });

  test('makes each form of a row once, because the model turns each example into tokens once', async () => {
    const source = trainingSource(stop, rows, { childData: dropping(0.5), seed: 1 });
    if (!('draw' in source)) throw new Error('expected a source');
    const seen = new Set<Example>();
    for (let step = 0; step < 20; step++) for (const one of await source.draw([0, 1], step)) seen.add(one);
    expect(seen.size).toBe(4);
  });

  test('never takes image and text from a row without answers of parents', async () => {
    const alone = task('alone', { instruction: '{text} alone ?', inputs: ['image', 'text'] });
    const both = await drawn({ childData: dropping(1, 1), of: alone, from: rows.slice(0, 20) });
    for (const { image, prompt } of both)
      expect([image, prompt]).toEqual([undefined, expect.stringMatching(/^row/)]);
  });
});

describe('the settings of a child’s data', () => {
  let directory: string;
  let base: LoadedModel;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'child-data-'));
    const models = dirname(createRequire(import.meta.url).resolve('@contextlora/benchmarks/package.json'));
    base = await loadModel(join(models, 'models/iov-base'), { kernels: await openKernels({ threads: 1 }) });
  });
  afterAll(async () => {
    base.dispose();
    await rm(directory, { recursive: true, force: true });
  });

  /** A light that is always called night in training, so that the predicted answers are wrong for the bright rows. */
  const misled = { 'light.train.jsonl': '{"text":"the light is low .","answer":"night"}' };
  const common = { seed: 3, rank: 8, steps: { light: 12, lamp: 8 }, batchSize: 2, learningRate: 1e-2 };
  const settingsOf = (more: ChildDataSettings): TrainSettings => ({ ...common, ...more });
  const scenario = async (files: Record<string, string>, settings: ChildDataSettings, tasks = taskFile) =>
    readTaskData(await writeScenario(await mkdtemp(join(directory, 's-')), { files, tasks }), settings);
  const inMemory = (): CheckpointStore & { kept?: Checkpoint } => ({
    load() {
      return Promise.resolve(this.kept);
    },
    save(checkpoint) {
      this.kept = checkpoint;
      return Promise.resolve();
    },
  });
  async function eventsOf(
    run: PreparedRun,
    settings: TrainSettings,
    {
      checkpoints = inMemory(),
      stop: isLast = () => false,
    }: { checkpoints?: CheckpointStore; stop?: (event: RunEvent) => boolean } = {},
  ) {
    const events: RunEvent[] = [];
    for await (const event of trainRun(run, { settings, checkpoints })) {
      events.push(event);
      if (isLast(event)) break;
    }
    return events;
  }

  test('act on a run, which asks the trained parents once, before the phase, and resumes with their answers to the byte', async () => {
    const settings = settingsOf({ parentAnswers: 'predicted', textDropout: { lamp: 0.3 } });
    const data = await scenario(misled, settings);
    const whole = prepareRun(base, data, { settings });
    const events = await eventsOf(whole, settings);
    const outline = events.filter(({ type }) => ['phaseStart', 'phaseEnd', 'askingParents'].includes(type));
    expect(outline.map(({ type }) => type)).toEqual([
      ...['phaseStart', 'phaseEnd', 'askingParents', 'phaseStart', 'phaseEnd'],
    ]);
    const gold = prepareRun(base, data, { settings: settingsOf({}) });
    await eventsOf(gold, settingsOf({}));
    expect(whole.model.segments()['light']).toEqual(gold.model.segments()['light']);
    expect(whole.model.segments()['lamp']).not.toEqual(gold.model.segments()['lamp']);

    const checkpoints = inMemory();
    const stopped = prepareRun(base, data, { settings });
    const third = (event: RunEvent) => event.type === 'step' && event.task === 'lamp' && event.step === 2;
    await eventsOf(stopped, settings, { checkpoints, stop: third });
    const kept = JSON.parse(
      Buffer.from(checkpoints.kept?.files['parent-answers.json'] ?? '').toString(),
    ) as unknown;
    expect(kept).toEqual({ lamp: { light: ['night', 'night'] } });
    const resumed = prepareRun(base, data, { settings });
    const rest = await eventsOf(resumed, settings, { checkpoints });
    expect(rest.map(({ type }) => type)).not.toContain('askingParents');
    expect(resumed.model.segments()).toEqual(whole.model.segments());
  });

  test('let rows lack answers that the parents then give, and want what the parents need', async () => {
    const bare = { 'lamp.train.jsonl': '{"text":"the light is low .","answer":"yes"}\n' };
    await expect(scenario(bare, {})).rejects.toThrow(
      'has a slot for "light", but "parents" has no answer for it',
    );
    const settings = settingsOf({ parentAnswers: 'annotated' });
    const run = prepareRun(base, await scenario(bare, settings), { settings });
    expect((await eventsOf(run, settings)).at(-1)?.type).toBe('evaluated');
    // The lamp alone needs no text, but the light that is asked for it does.
    const textless = taskFile.replace("'{text} light {light} . lamp ?'", "'light {light} . lamp ?'");
    const noText = { 'lamp.train.jsonl': '{"answer":"yes"}\n' };
    await expect(scenario(noText, settings, textless)).rejects.toThrow(
      'task "lamp" builds on the answer of "light", which has a slot {text}, but the row has no text',
    );
  });

  test('act in the same way on rows that are read when they are drawn', async () => {
    const settings = settingsOf({ parentAnswers: 0.5, textDropout: { lamp: 0.5 } });
    const path = await writeScenario(await mkdtemp(join(directory, 's-')), { files: misled });
    const [small, large] = [
      await readTaskData(path, settings),
      await readTaskData(path, { ...settings, maximumBytes: 1 }),
    ];
    expect(Array.isArray(large.rows['lamp']?.train)).toBe(false);
    const inputsOf = async (data: TaskData) => {
      const digests = digestRows(data);
      for (;;) {
        const next = await digests.next();
        if (next.done) return next.value;
      }
    };
    expect(await inputsOf(large)).toEqual(await inputsOf(small));
    const segments = [];
    for (const data of [small, large]) {
      const run = prepareRun(base, data, { settings });
      await eventsOf(run, settings);
      segments.push(run.model.segments());
    }
    expect(segments[1]).toEqual(segments[0]);
  });

  test('are refused where they would have no effect', async () => {
    const data = await scenario({}, {});
    const problemsOf = (more: ChildDataSettings) => {
      try {
        prepareRun(base, data, { settings: settingsOf(more) });
      } catch (error) {
        return (error as FinetuneError).problems;
      }
      return [];
    };
    expect(problemsOf({ imageDropout: 0.5 })).toEqual([
      expect.stringContaining('"imageDropout" has no effect'),
    ]);
    expect(problemsOf({ parentAnswers: { light: 'predicted' }, textDropout: { light: 0.5 } })).toEqual([
      expect.stringContaining(`"parentAnswers" names task "light", which has no slot for a parent's answer`),
      expect.stringContaining(
        '"textDropout" names task "light", which has no slot {text}, or would have nothing',
      ),
    ]);
    expect(problemsOf({ parentAnswers: { light: 'gold', lamp: 0.5 }, textDropout: 0.2 })).toEqual([]);
  });
});
