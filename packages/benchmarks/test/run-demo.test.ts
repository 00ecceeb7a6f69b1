import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type DemoEvent, type DemoOptions, runDemo } from '@contextlora/benchmarks';
import type { PreparedRun } from '@contextlora/finetune';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'benchmarks-demo-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const optionsOf = (out: string): DemoOptions => ({
  out: join(directory, out),
  seed: 0,
  effort: 0.02,
  compare: false,
  resume: false,
  // Ten times as fast as time, so that measurements, which have a budget of seconds, end soon.
  clock: () => performance.now() / 100,
  program: 'not started without baselines',
});

/** Runs until an event that `stop` accepts; an event's kind is its type, and for training that of the event inside. */
async function runUntil(options: DemoOptions, stop: (event: DemoEvent) => boolean) {
  const kinds: string[] = [];
  let run: PreparedRun | undefined;
  for await (const event of runDemo(options)) {
    kinds.push(event.type === 'run' ? event.event.type : event.type);
    if (event.type === 'prepared') run = event.run;
    if (stop(event)) break;
  }
  return { kinds, segments: run?.model.segments() ?? {} };
}

const isReport = (event: DemoEvent) => event.type === 'report';

test('the demo goes from tasks to boards, writes what a resumed run needs, and stopped and resumed gives the same segments', async () => {
  const whole = optionsOf('whole');
  const events = runDemo(whole);
  const kinds: string[] = [];
  let next = await events.next();
  for (; !next.done; next = await events.next()) {
    const kind = next.value.type === 'run' ? next.value.event.type : next.value.type;
    if (kinds.at(-1) !== kind) kinds.push(kind);
  }
  const phase = ['phaseStart', 'step', 'phaseEnd', 'evaluated'];
  expect(kinds).toEqual([
    ...['tasks', 'base', 'rendering', 'rendered', 'looking', 'looked', 'prepared'],
    ...[phase, phase, phase, phase].flat(),
    ...['trained', 'report', 'question', 'boards'],
  ]);

  const { report, segments, graph, losses } = next.value;
  expect(graph.order).toBe(4);
  // 2 % of 250, 100, 250 and 250 steps.
  expect(losses).toHaveLength(5 + 2 + 5 + 5);
  expect(report.tasks.map(({ id, bitIdentical }) => [id, bitIdentical])).toEqual(
    ['vehicle', 'weather', 'road', 'strategy'].map((id) => [id, true]),
  );
  expect(report.decision).toBeUndefined();
  expect((await readdir(whole.out)).sort()).toEqual([
    '.contextlora-run',
    'checkpoints',
    'metrics.jsonl',
    'scenes',
  ]);
  const lines = (await readFile(join(whole.out, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  // Steps, and both test sets of four tasks after their phases and at the end.
  expect(lines).toHaveLength(losses.length + 4 * 2 * 2);

  // The scenes are the same, so they need not be rendered again.
  const stopped = { ...optionsOf('stopped'), resume: true };
  await cp(join(whole.out, 'scenes'), join(stopped.out, 'scenes'), { recursive: true });
  await writeFile(join(stopped.out, '.contextlora-run'), '');
  const first = await runUntil(
    stopped,
    (event) => event.type === 'run' && event.event.type === 'step' && event.event.task === 'road',
  );
  expect(first.kinds).not.toContain('resume');
  expect(first.kinds).not.toContain('rendering');
  expect(first.segments).not.toEqual(segments);
  const second = await runUntil(stopped, isReport);
  expect(second.kinds).toContain('resume');
  expect(second.kinds.filter((kind) => kind === 'step')).toHaveLength(4 + 5);
  expect(second.segments).toEqual(segments);
}, 240_000);
