import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type DemoEvent, type DemoOptions, runDemo } from '@contextlora/benchmarks';
import type { PreparedRun } from '@contextlora/finetune';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

let directory: string;
/** A demo that was stopped when its scenes were rendered: that takes most of its time. */
let rendered: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'benchmarks-demo-'));
  rendered = join(directory, 'rendered');
  await runUntil(optionsOf('rendered'), ({ type }) => type === 'rendered');
}, 300_000);
afterAll(() => rm(directory, { recursive: true, force: true }));

const optionsOf = (out: string): DemoOptions => ({
  out: join(directory, out),
  seed: 3,
  effort: 0.02,
  compare: false,
  resume: false,
  // Ten times as fast as time, so that measurements, which have a budget of seconds, end soon.
  clock: () => performance.now() / 100,
  program: 'not started without baselines',
});

/** The type of an event, or of the training event in it. */
const kindOf = (event: DemoEvent) => (event.type === 'run' ? event.event.type : event.type);

/** Runs until an event that `stop` accepts. */
async function runUntil(options: DemoOptions, stop: (event: DemoEvent) => boolean) {
  const kinds: string[] = [];
  let run: PreparedRun | undefined;
  for await (const event of runDemo(options)) {
    kinds.push(kindOf(event));
    if (event.type === 'prepared') run = event.run;
    if (stop(event)) break;
  }
  return { kinds, segments: run?.model.segments() ?? {} };
}

async function withScenes(out: string): Promise<DemoOptions> {
  const options = { ...optionsOf(out), resume: true };
  await cp(rendered, options.out, { recursive: true });
  return options;
}

test('a new demo begins with its tasks and its base, and renders the scenes', async () => {
  const options = optionsOf('new');
  const { kinds } = await runUntil(options, ({ type }) => type === 'rendering');
  expect(kinds).toEqual(['tasks', 'base', 'rendering']);
  expect((await readdir(options.out)).sort()).toEqual(['.contextlora-run', 'scenes']);
  // Nothing is continued or replaced unasked, and other inputs continue nothing.
  await expect(runUntil(options, () => true)).rejects.toMatchObject({ code: 'FINETUNE_DIRECTORY_TAKEN' });
  await expect(runUntil({ ...options, resume: true, seed: 5 }, () => false)).rejects.toMatchObject({
    code: 'FINETUNE_RUN_FOREIGN',
    problems: ['the seed: 3 when the run began, 5 now'],
  });
});

test('the demo trains, reports, answers and plans, and stopped and resumed it gives the same segments', async () => {
  const whole = await withScenes('whole');
  const events = runDemo(whole);
  const kinds: string[] = [];
  let next = await events.next();
  for (; !next.done; next = await events.next()) {
    const kind = kindOf(next.value);
    if (kinds.at(-1) !== kind) kinds.push(kind);
  }
  const phase = ['phaseStart', 'step', 'phaseEnd', 'evaluated'];
  expect(kinds).toEqual([
    ...['tasks', 'base', 'rendered', 'looking', 'looked', 'evaluatingBase', 'prepared'],
    ...[phase, phase, phase, phase].flat(),
    ...['report', 'question', 'boards', 'written'],
  ]);

  const { report, segments, graph, losses } = next.value!;
  expect(graph.order).toBe(4);
  // 2 % of 250, 100, 250 and 250 steps.
  expect(losses).toHaveLength(5 + 2 + 5 + 5);
  expect(report.tasks.map(({ id, bitIdentical }) => [id, bitIdentical])).toEqual(
    ['vehicle', 'weather', 'road', 'strategy'].map((id) => [id, true]),
  );
  expect(report.decision).toBeUndefined();
  // Scenes, training and report follow the seed of the demo.
  expect([report.seed, report.settings['seed']]).toEqual([3, 3]);
  const scenes = await readFile(join(whole.out, 'scenes', 'complete.json'), 'utf8');
  expect(JSON.parse(scenes)).toMatchObject({ seed: 3 });
  expect((await readdir(whole.out)).sort()).toEqual([
    '.contextlora-run',
    'checkpoints',
    'metrics.jsonl',
    'run.json',
    'scenes',
    'tensorboard',
  ]);
  const lines = (await readFile(join(whole.out, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  // Steps, the ends of phases, both test sets of four tasks after their phases and at the end, and their validation rows.
  expect(lines).toHaveLength(losses.length + 4 + 4 * 2 * 2 + 4);

  const stopped = await withScenes('stopped');
  const first = await runUntil(
    stopped,
    (event) => event.type === 'run' && event.event.type === 'step' && event.event.task === 'road',
  );
  expect(first.kinds).not.toContain('resume');
  expect(first.segments).not.toEqual(segments);
  const second = await runUntil(stopped, ({ type }) => type === 'report');
  expect(second.kinds).toContain('resume');
  expect(second.kinds.filter((kind) => kind === 'step')).toHaveLength(4 + 5);
  expect(second.segments).toEqual(segments);
  expect((await runUntil(whole, () => false)).kinds).toEqual(['tasks', 'base', 'finished']);
}, 300_000);
