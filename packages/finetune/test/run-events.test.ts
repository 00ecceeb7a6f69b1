import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type MetricsEntry, openMetricsFile, recordRun, type RunEvent } from '@contextlora/finetune';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const step = (task: string, index: number, loss: number): Extract<RunEvent, { type: 'step' }> => ({
  type: 'step',
  phase: 0,
  task,
  step: index,
  steps: 2,
  learningRate: 1e-3,
  loss,
  tokens: 8,
  gradientNorm: 1,
});
const phaseStart = (task: string): RunEvent => ({ type: 'phaseStart', phase: 0, tasks: [task], steps: 2 });
const phaseEnd = (task: string): Extract<RunEvent, { type: 'phaseEnd' }> => ({
  type: 'phaseEnd',
  phase: 0,
  tasks: [task],
  certificate: { [task]: 'abc' },
  check: { trained: [task], unchanged: [], violated: [] },
});
const resume = (earlier: readonly MetricsEntry[]): RunEvent => ({
  type: 'resume',
  position: { phase: 0, step: 2, certificate: {}, fingerprint: {} },
  earlier,
});
const evaluated = (task: string, when: 'afterOwnPhase' | 'final', accuracy: number): RunEvent => ({
  type: 'evaluated',
  task,
  when,
  test: 'test',
  accuracy,
  predictions: [{ answer: 'night' }],
});

describe('recordRun', () => {
  test('numbers the losses over the whole run, and keeps certificates and evaluations', () => {
    const { record, add } = recordRun({ clock: () => 0 });
    for (const event of [
      phaseStart('light'),
      step('light', 0, 2),
      step('light', 1, 1),
      phaseEnd('light'),
      evaluated('light', 'afterOwnPhase', 0.5),
      phaseStart('lamp'),
      step('lamp', 0, 3),
      phaseEnd('lamp'),
      evaluated('light', 'final', 0.75),
    ])
      add(event);
    expect(record.losses).toEqual([
      { step: 0, task: 'light', loss: 2 },
      { step: 1, task: 'light', loss: 1 },
      { step: 2, task: 'lamp', loss: 3 },
    ]);
    expect(record.certificates.map(({ tasks, certificate }) => [tasks, certificate])).toEqual([
      [['light'], { light: 'abc' }],
      [['lamp'], { lamp: 'abc' }],
    ]);
    expect([...record.evaluations].map(([key, { accuracy }]) => [key, accuracy])).toEqual([
      ['light/afterOwnPhase/test', 0.5],
      ['light/final/test', 0.75],
    ]);
  });

  test('is the same for a resumed run, except for the seconds', () => {
    const whole = recordRun({ clock: () => 0 });
    const events = [step('light', 0, 2), phaseEnd('light'), step('lamp', 0, 3), phaseEnd('lamp')];
    for (const event of events) whole.add(event);
    const resumed = recordRun({ clock: () => 0 });
    resumed.add(resume(events.slice(0, 3)));
    for (const event of events.slice(3)) resumed.add(event);
    expect(resumed.record).toEqual(whole.record);
  });

  test('counts the seconds of steps, without loading, checking and evaluating', () => {
    let now = 100;
    const { record, add } = recordRun({ clock: () => now });
    const at = (seconds: number, event: RunEvent) => {
      now = seconds;
      add(event);
    };
    at(110, phaseStart('light'));
    at(111, step('light', 0, 2));
    at(113, step('light', 1, 1));
    at(120, phaseEnd('light'));
    at(130, evaluated('light', 'afterOwnPhase', 1));
    at(140, phaseStart('lamp'));
    at(140.5, step('lamp', 0, 3));
    expect(record.stepSeconds).toBe(3.5);
  });
});

describe('openMetricsFile', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'finetune-metrics-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  const linesOf = async (path: string) =>
    (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; step?: number });

  test('keeps steps and phase ends whole and evaluations with the digest of their predictions, and no other event', async () => {
    const path = join(directory, 'some', 'metrics.jsonl');
    const metrics = openMetricsFile(path);
    for (const event of [
      phaseStart('light'),
      step('light', 0, 2),
      phaseEnd('light'),
      evaluated('light', 'final', 0.5),
    ])
      metrics.add(event);
    await metrics.flush();
    expect(await linesOf(path)).toEqual([
      step('light', 0, 2),
      phaseEnd('light'),
      {
        type: 'evaluated',
        task: 'light',
        when: 'final',
        test: 'test',
        accuracy: 0.5,
        // printf '[{"answer":"night"}]' | sha256sum
        predictionsSha256: '46b6a16ed76015836acc52851bbee15fe0110089704141671dc8fb68e0e01244',
      },
    ]);
  });

  test('writes in the order of the events, however many lines are written at once', async () => {
    const path = join(directory, 'ordered.jsonl');
    const metrics = openMetricsFile(path, { flushEvery: 2 });
    for (let index = 0; index < 7; index++) metrics.add(step('light', index, 1));
    await metrics.flush();
    await metrics.flush();
    expect((await linesOf(path)).map((line) => line.step)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test('begins anew, with what was recorded before a resumed run was stopped, whatever a killed process left', async () => {
    const path = join(directory, 'killed.jsonl');
    await writeFile(path, `${JSON.stringify(step('light', 0, 9))}\n{"type":"st`);
    const metrics = openMetricsFile(path);
    metrics.add(resume([step('light', 0, 2), step('light', 1, 1)]));
    metrics.add(step('light', 2, 0));
    await metrics.flush();
    expect(await linesOf(path)).toEqual([step('light', 0, 2), step('light', 1, 1), step('light', 2, 0)]);
    const again = openMetricsFile(path);
    await again.flush();
    expect(await readFile(path, 'utf8')).toBe('');
  });

  test('tells at the flush that it could not write', async () => {
    const blocked = join(directory, 'blocked');
    await writeFile(blocked, '');
    const metrics = openMetricsFile(join(blocked, 'metrics.jsonl'));
    metrics.add(step('light', 0, 1));
    await expect(metrics.flush()).rejects.toThrow();
  });
});
