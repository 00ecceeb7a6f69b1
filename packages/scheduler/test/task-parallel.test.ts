import { describe, expect, test } from '@jest/globals';
import {
  assessPlacement,
  type Cluster,
  openCostModel,
  plan,
  withCachedPrefix,
  type Workload,
} from '@contextlora/scheduler';
import { listScheduleTasks } from '@contextlora/scheduler/peers';
import fc from 'fast-check';
import { cluster, device, interval, layer, task } from './problems.js';

/** One layer; on a device of 1 FLOP/s it trains for `seconds`. */
const job = (name: string, seconds: number, ...dependsOn: string[]): Workload =>
  task([layer({ forwardFlops: seconds, inputFlops: 0, activationBytes: 0 })], 1, { name, dependsOn });

/** Of every assignment in every order, each task as early as its parents and its device allow. */
function bruteForce(workloads: readonly Workload[], { devices }: Cluster): number {
  const seconds = (workload: Workload, at: number) =>
    workload.layers[0]!.forwardFlops / (devices[at]!.flopsPerSecond as number);
  let best = Infinity;
  const place = (ends: ReadonlyMap<string, number>, free: readonly number[]) => {
    if (ends.size === workloads.length) best = Math.min(best, Math.max(...ends.values()));
    for (const workload of workloads) {
      const parents = workload.dependsOn ?? [];
      if (ends.has(workload.name) || !parents.every((name) => ends.has(name))) continue;
      for (const at of devices.keys()) {
        const end = Math.max(free[at]!, ...parents.map((name) => ends.get(name)!)) + seconds(workload, at);
        place(new Map(ends).set(workload.name, end), free.with(at, end));
      }
    }
  };
  place(
    new Map(),
    devices.map(() => 0),
  );
  return best;
}

const arbitraryGraph = (tasks: number): fc.Arbitrary<Workload[]> =>
  fc
    .array(
      fc.tuple(
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.boolean(), { minLength: tasks, maxLength: tasks }),
      ),
      {
        minLength: 1,
        maxLength: tasks,
      },
    )
    .map((all) =>
      all.map(([seconds, parents], index) =>
        job(
          `t${index}`,
          seconds,
          ...parents.slice(0, index).flatMap((is, parent) => (is ? [`t${parent}`] : [])),
        ),
      ),
    );
const arbitraryDevices = (most: number): fc.Arbitrary<Cluster> =>
  fc
    .array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: most })
    .map((rates) => cluster(rates.map((flopsPerSecond, i) => device(`d${i}`, { flopsPerSecond }))));

describe('task-parallel list scheduling', () => {
  test('starts a child when its own parents end, whatever else still trains', () => {
    const chains = [job('a', 1), job('b', 9, 'a'), job('c', 9), job('d', 1, 'c')];
    expect(listScheduleTasks(chains, cluster(2))).toEqual({
      totalSeconds: 10,
      totalBytes: 0,
      assignments: expect.arrayContaining([
        expect.objectContaining({ task: 'a', startSeconds: 0, endSeconds: 1 }),
        expect.objectContaining({ task: 'b', startSeconds: 1, endSeconds: 10 }),
        expect.objectContaining({ task: 'd', startSeconds: 9, endSeconds: 10 }),
      ]),
    });
  });

  test('finds what a brute force over all assignments and orders finds, for up to 4 tasks and 3 devices', () => {
    fc.assert(
      fc.property(arbitraryGraph(4), arbitraryDevices(3), (workloads, on) => {
        expect(listScheduleTasks(workloads, on)!.totalSeconds).toBeCloseTo(bruteForce(workloads, on), 9);
      }),
      { numRuns: 300 },
    );
  });

  test('puts a short task into the gap before a longer one that waits for its parent', () => {
    const large = (name: string, seconds: number, dependsOn: string[] = []) =>
      task([layer({ forwardFlops: seconds, inputFlops: 0, parameterBytes: 9 })], 1, { name, dependsOn });
    const small = task([layer({ forwardFlops: 100, inputFlops: 0 })], 1, { name: 'parent' });
    const found = listScheduleTasks(
      [small, large('child', 10, ['parent']), large('short', 1)],
      cluster([device('slow'), device('quick', { flopsPerSecond: 10, memoryBytes: 5 })]),
    );
    expect(found).toMatchObject({ totalSeconds: 20 });
    expect(found!.assignments[0]).toMatchObject({ task: 'parent', device: 'quick' });
  });

  test('gives each device one task at a time, after the task’s parents', () => {
    fc.assert(
      fc.property(arbitraryGraph(9), arbitraryDevices(4), (workloads, on) => {
        const { totalSeconds, assignments } = listScheduleTasks(workloads, on)!;
        const found = new Map(assignments.map((one) => [one.task, one]));
        expect([...found.keys()].sort()).toEqual(workloads.map(({ name }) => name).sort());
        expect(Math.max(...assignments.map(({ endSeconds }) => endSeconds))).toBe(totalSeconds);
        for (const { name, dependsOn = [], layers } of workloads) {
          const { device: id, startSeconds, endSeconds } = found.get(name)!;
          const rate = on.devices.find((one) => one.id === id)!.flopsPerSecond as number;
          expect(endSeconds - startSeconds).toBeCloseTo(layers[0]!.forwardFlops / rate, 9);
          for (const parent of dependsOn)
            expect(found.get(parent)!.endSeconds).toBeLessThanOrEqual(startSeconds);
        }
        for (const [index, { device: id, startSeconds }] of assignments.entries())
          for (const earlier of assignments.slice(0, index))
            if (earlier.device === id) expect(earlier.endSeconds).toBeLessThanOrEqual(startSeconds);
      }),
      { numRuns: 60 },
    );
  });

  test('takes as long whatever the tasks and devices are called and in whatever order they are listed', () => {
    fc.assert(
      fc.property(arbitraryGraph(12), arbitraryDevices(4), (workloads, on) => {
        const renamed = workloads
          .map((one) => ({
            ...one,
            name: `x${one.name}`,
            dependsOn: one.dependsOn!.map((name) => `x${name}`).reverse(),
          }))
          .reverse();
        const devices = on.devices.map((one, index) => ({ ...one, id: `y${9 - index}` })).reverse();
        expect(listScheduleTasks(renamed, { ...on, devices })!.totalSeconds).toBeCloseTo(
          listScheduleTasks(workloads, on)!.totalSeconds,
          9,
        );
      }),
      { numRuns: 60 },
    );
  });

  test('is charged for what it fetches, answers and hands over, as a plan is', () => {
    const parent = task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 3 })], 1, { name: 'parent' });
    const child = { ...parent, dependsOn: ['parent'], promptSamples: 4, validationSamples: 6 };
    const children = [
      { ...child, name: 'left' },
      { ...child, name: 'right' },
    ];
    const on = { ...cluster(2, { bytesPerSecond: 1 }), keeper: 'd0' };
    const found = listScheduleTasks([parent, ...children], on)!;
    // 2 s of the parent; 3 s until its segment is at d1; 4 s of answers, 2 s of training, 6 s of validation; 3 s until the keeper has all.
    expect(found).toMatchObject({ totalSeconds: 2 + 3 + 4 + 2 + 6 + 3 });
    expect(found.totalBytes).toBeGreaterThanOrEqual(3 + 3);
    expect(found.totalSeconds).toBeGreaterThanOrEqual(plan([parent, ...children], on).totalSeconds);
  });

  test('keeps a task from devices that cannot hold it, and finds nothing where none can', () => {
    const heavy: Workload = { ...job('heavy', 5), layers: [layer({ forwardFlops: 5, parameterBytes: 100 })] };
    const on = cluster([
      device('large', { memoryBytes: 200 }),
      device('quick', { flopsPerSecond: 9, memoryBytes: 50 }),
    ]);
    expect(listScheduleTasks([heavy], on)!.assignments[0]!.device).toBe('large');
    expect(listScheduleTasks([heavy], cluster([device('small', { memoryBytes: 50 })]))).toBeUndefined();
  });

  test('reads a frozen prefix from a cache after the first epoch, if it may', () => {
    const frozen = layer({ forwardFlops: 4, inputFlops: 0 });
    const workload = task([frozen, layer({ inputFlops: 0, weightFlops: 1 })], 2, { steps: 6, epochs: 3 });
    const secondsOf = (one: Workload) => {
      const problem = interval(openCostModel([one], cluster(1)));
      const stages = [{ start: 0, end: 2, members: [{ device: 'd0', share: 1 }] }];
      return assessPlacement(problem, { tasks: ['t'], microbatches: 1, stages })!.totalSeconds;
    };
    expect(listScheduleTasks([workload], cluster(1), { cache: false })!.totalSeconds).toBeCloseTo(
      secondsOf({ ...workload, steps: 1 }) * 6,
      9,
    );
    expect(listScheduleTasks([workload], cluster(1))!.totalSeconds).toBeCloseTo(
      secondsOf(workload) * 2 + secondsOf(withCachedPrefix(workload)) * 4,
      9,
    );
  });
});
