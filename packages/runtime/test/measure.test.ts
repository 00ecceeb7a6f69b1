import {
  comparePlan,
  comparisonChart,
  comparisonTrace,
  type MeasuredStep,
  type PipelineEvent,
  refitCluster,
} from '@contextlora/runtime';
import { drawGanttSvg } from '@contextlora/scheduler/views';
import { gpipe, simulate } from '@contextlora/scheduler';
import { describe, expect, test } from '@jest/globals';

import { openToyPipeline, placeToy, toyExamples } from './toy-pipeline.js';
import type { ToyModel } from './toy-stage.js';
import { virtualClock } from './virtual-clock.js';

const model: ToyModel = { width: 4, layers: 4, tasks: { road: 1 } };
const place = (left: readonly string[], tasks: readonly string[]) =>
  placeToy(model, left, tasks, { cuts: [3], policy: gpipe });

/** Two steps on devices that take so many seconds for a computation. */
async function measure(seconds: Readonly<Record<string, number>>): Promise<MeasuredStep[]> {
  const clock = virtualClock();
  const events: PipelineEvent[] = [];
  const { pipeline } = openToyPipeline(model, ['a', 'b'], {
    clock,
    place,
    onEvent: (event) => events.push(event),
    before: (device) => clock.sleep(seconds[device]!),
  });
  const train = async () => {
    await pipeline.setPhase({ tasks: ['road'], roles: { road: { road: 'train' } } });
    const batches = toyExamples(4, model.width).map((one) => [one]);
    for (let step = 0; step < 2; step++) await pipeline.step('road', batches, { learningRate: 0.1 });
  };
  await clock.play(train(), 1000);
  return events.flatMap((event) => (event.type === 'step' ? [event.measured] : []));
}

describe('A measured step', () => {
  test('has a span for all that was computed, sent and waited for', async () => {
    const [first] = await measure({ a: 0.1, b: 0.2 });
    const { measured } = comparePlan(first!, place(['a', 'b'], ['road']).cluster);
    const [a, b] = measured.devices;
    // 4 forward and 4 backward passes, and an update.
    expect(a!.busySeconds).toBeCloseTo(9 * 0.1, 9);
    expect(b!.busySeconds).toBeCloseTo(9 * 0.2, 9);
    // b waits for the first activation, then works on; a waits at the end of its forward passes.
    expect(b!.idleSeconds.activation).toBeCloseTo(0.1, 9);
    expect(a!.idleSeconds.gradient).toBeGreaterThan(0.3);
    expect(measured.bytes).toBe(8 * 4 * model.width);
  });

  test('re-fits the rates of unequal devices, after which the prediction is close', async () => {
    const steps = await measure({ a: 0.1, b: 0.25 });
    const { cluster } = place(['a', 'b'], ['road']);
    const before = comparePlan(steps[1]!, cluster);
    const after = comparePlan(steps[1]!, refitCluster(cluster, [steps[0]!]));
    expect(Math.abs(before.error)).toBeGreaterThan(0.9);
    expect(Math.abs(after.error)).toBeLessThan(0.15);
    for (const { error } of after.devices) expect(Math.abs(error)).toBeLessThan(0.2);
    const plan = simulate(steps[0]!.schedule, steps[0]!.workloads, cluster);
    expect(before.planned).toEqual(plan);
  });

  test('does not re-fit rates to a step that the machine held up', async () => {
    const [fast, slow] = [await measure({ a: 0.1, b: 0.25 }), await measure({ a: 3, b: 4 })];
    const { cluster } = place(['a', 'b'], ['road']);
    const rates = (steps: readonly MeasuredStep[]) =>
      refitCluster(cluster, steps).devices.map(({ flopsPerSecond }) => flopsPerSecond);
    expect(rates([slow[0]!, fast[0]!, fast[0]!])).toEqual(rates([fast[0]!]));
    expect(rates([slow[0]!])).not.toEqual(rates([fast[0]!]));
  });

  test('is drawn beside the plan, in one chart and one trace', async () => {
    const [first] = await measure({ a: 0.1, b: 0.2 });
    const comparison = comparePlan(first!, place(['a', 'b'], ['road']).cluster);
    const chart = comparisonChart(comparison, first!);
    expect(chart.rows.map(({ name }) => name)).toEqual([
      'a, planned',
      'a, measured',
      'b, planned',
      'b, measured',
    ]);
    expect(drawGanttSvg(chart)).toContain('measured');
    const { traceEvents } = comparisonTrace(comparison, first!);
    const names = traceEvents.flatMap((event) =>
      event.ph === 'M' && event.name === 'process_name' ? [String(event.args['name']).split(':')[0]] : [],
    );
    expect(names).toEqual(['planned', 'planned', 'measured', 'measured']);
    const threads = new Set(traceEvents.map(({ pid, tid }) => `${pid} ${tid}`));
    expect(new Set([...threads].map((thread) => thread.split(' ')[1])).size).toBe(threads.size);
  });
});
