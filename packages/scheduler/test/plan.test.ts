import { describe, expect, test } from '@jest/globals';
import {
  type Cluster,
  type LayerCost,
  oneForwardOneBackward,
  openCostModel,
  plan,
  type Plan,
  type PlannedInterval,
  type PlanOptions,
  type Policy,
  scheduleOf,
  simulate,
  validateSchedule,
  type Workload,
} from '@contextlora/scheduler';
import { describePlacement, describePlan } from '@contextlora/scheduler/views';
import { jora, peers, type Strategy, tuneStrategy } from '@contextlora/scheduler/peers';
import fc from 'fast-check';
import { arbitraryCluster, arbitraryTask, cluster, device, layer, interval, task } from './problems.js';

const sweeps = 15;

const intervalsOf = ({ jobs }: Plan): PlannedInterval[] => jobs.flatMap(({ intervals }) => intervals);

const plans = new Map<string, Plan>();
/** The plan with default options. Sweeps draw the same problems, and planning is most of what they do. */
function planOnce(workloads: readonly Workload[], on: Cluster): Plan {
  const key = JSON.stringify([workloads, on]);
  let found = plans.get(key);
  if (!found) plans.set(key, (found = plan(workloads, on)));
  return found;
}

/** Layers of which those below `lowest` are frozen; every byte count is set, so that everything costs something. */
const layersFrom = (lowest: number, count = 6, more: Partial<LayerCost> = {}): LayerCost[] =>
  Array.from({ length: count }, (_, i) =>
    layer({
      inputFlops: i > lowest ? 1 : 0,
      weightFlops: i >= lowest ? 0.25 : 0,
      parameterBytes: 4,
      gradientBytes: i >= lowest ? 0.5 : 0,
      optimizerBytes: i >= lowest ? 1 : 0,
      outputBytes: 0.25,
      ...more,
    }),
  );

/** Tasks in a random order of dependence, over unequal devices. */
const arbitraryPlan = (most: number, free = false): fc.Arbitrary<{ workloads: Workload[]; on: Cluster }> =>
  fc
    .record({
      tasks: fc.integer({ min: 1, max: most }),
      layers: fc.integer({ min: 1, max: 4 }),
      devices: fc.integer({ min: 1, max: 3 }),
    })
    .chain(({ tasks, layers, devices }) =>
      fc.record({
        workloads: fc
          .tuple(
            fc.tuple(...Array.from({ length: tasks }, (_, i) => arbitraryTask(`t${i}`, layers, 4))),
            fc.array(
              fc.record({
                steps: fc.integer({ min: 1, max: 8 }),
                epochs: fc.integer({ min: 1, max: 3 }),
                parents: fc.nat(7),
              }),
              {
                minLength: tasks,
                maxLength: tasks,
              },
            ),
          )
          .map(([all, times]) =>
            all.map((one, i): Workload => ({
              ...one,
              layers: free
                ? one.layers.map((each) => ({ ...each, parameterBytes: 0, optimizerBytes: 0 }))
                : one.layers,
              steps: times[i]!.steps,
              epochs: times[i]!.epochs,
              dependsOn: all
                .slice(0, i)
                .flatMap(({ name }, bit) => (times[i]!.parents & (1 << bit) ? [name] : [])),
            })),
          ),
        on: arbitraryCluster(devices),
      }),
    );

test('a plan with more siblings than groups are tried of never says that it is exact', () => {
  const five = Array.from({ length: 5 }, (_, i) => task(layersFrom(0, 2), 2, { name: `t${i}` }));
  expect(plan(five, cluster(1), { peers: [] }).search).toBe('bounded');
  expect(plan(five.slice(0, 1), cluster(1), { peers: [] }).search).toBe('exact');
});

describe('jobs', () => {
  /** Tasks of one layer that take `seconds` on a device of 1 FLOP/s, all their adapters free to send. */
  const job = (name: string, seconds: number, dependsOn: string[] = [], more: Partial<Workload> = {}) =>
    task([layer({ inputFlops: 0, forwardFlops: seconds, outputBytes: 1 })], 1, { name, dependsOn, ...more });

  test('start after their parents, use no device twice at a time, and train every step', () => {
    fc.assert(
      fc.property(arbitraryPlan(4), ({ workloads, on }) => {
        const found = plan(workloads, on, { peers: [], exactDevices: 0 });
        const jobOf = new Map(found.jobs.flatMap((one) => one.tasks.map((name) => [name, one] as const)));
        expect([...jobOf.keys()].sort()).toEqual(workloads.map(({ name }) => name).sort());
        for (const { name, steps, dependsOn } of workloads) {
          for (const parent of dependsOn!)
            expect(jobOf.get(parent)!.endSeconds).toBeLessThanOrEqual(
              jobOf.get(name)!.startSeconds * (1 + 1e-9),
            );
          const planned = intervalsOf(found).reduce(
            (sum, one) => sum + (one.tasks.includes(name) ? one.steps : 0),
            0,
          );
          expect(planned).toBe(steps);
        }
        for (const [index, one] of found.jobs.entries()) {
          expect(one.endSeconds).toBeLessThanOrEqual(found.totalSeconds * (1 + 1e-12));
          for (const other of found.jobs.slice(index + 1))
            if (one.devices.some((id) => other.devices.includes(id)))
              expect(one.endSeconds).toBeLessThanOrEqual(other.startSeconds * (1 + 1e-9));
          let at = one.startSeconds;
          for (const { startSeconds, endSeconds, totalSeconds } of one.intervals) {
            expect(startSeconds).toBeGreaterThanOrEqual(at * (1 - 1e-9));
            expect(endSeconds - startSeconds).toBeGreaterThanOrEqual(totalSeconds * (1 - 1e-9));
            at = endSeconds;
          }
        }
      }),
      { numRuns: 2 * sweeps },
    );
  });

  test('wait for no barrier: a child starts while unrelated tasks still train', () => {
    const chains = [job('A', 100), job('B', 20), job('B2', 80, ['B']), job('A2', 20, ['A'])];
    const found = plan(chains, cluster(2, { bytesPerSecond: 1e-3 }));
    expect(found.totalSeconds).toBeCloseTo(120, 9);
    expect(found.explanation.criticalPath).toEqual(['A', 'A2']);
  });

  test('run side by side in lanes of several devices where one device cannot hold the model', () => {
    const devices = ['a', 'b', 'c', 'd'].map((id) => device(id, { memoryBytes: 32 }));
    const on: Cluster = {
      devices,
      links: [
        { from: 'a', to: 'b', bytesPerSecond: 1e3, latencySeconds: 0 },
        { from: 'c', to: 'd', bytesPerSecond: 1e3, latencySeconds: 0 },
        { from: '*', to: '*', bytesPerSecond: 0.01, latencySeconds: 1 },
      ],
    };
    const siblings = ['x', 'y'].map((name) => task(layersFrom(0, 8), 4, { name, steps: 10 }));
    const alone = plan([siblings[0]!], { devices: devices.slice(0, 2), links: on.links.slice(0, 1) });
    const found = plan(siblings, on);
    expect(found.totalSeconds).toBeCloseTo(alone.totalSeconds, 6);
    expect(found.jobs.map(({ devices: lane }) => [...lane].sort().join())).toEqual(
      expect.arrayContaining(['a,b', 'c,d']),
    );
  });

  test('train siblings together where that fills bubbles, and in turn when they may not', () => {
    // One pipeline over two devices, because neither holds the model alone; a step of one micro-batch drains it.
    const devices = [0, 1].map((i) => device(`d${i}`, { memoryBytes: 26 }));
    const siblings = ['a', 'b'].map((name) => task(layersFrom(0, 6), 1, { name, steps: 20 }));
    const together = plan(siblings, cluster(devices), { peers: [] });
    expect(together.jobs.map(({ tasks }) => tasks)).toEqual([['a', 'b']]);
    const inTurn = plan(siblings, cluster(devices), { peers: [], siblings: false });
    expect(inTurn.jobs.map(({ tasks }) => tasks)).toEqual([['a'], ['b']]);
    expect(together.totalSeconds).toBeLessThan(inTurn.totalSeconds);
  });

  test('let siblings in one pipeline follow each other in the best order, and are exact then', () => {
    // A flow shop of two machines, each of which holds one layer (Johnson, 1954): the quick first stage goes first.
    const stages = (name: string, ...seconds: number[]) =>
      task(
        seconds.map((forwardFlops) => layer({ forwardFlops, inputFlops: 0, parameterBytes: 6 })),
        1,
        { name },
      );
    const siblings = [stages('slow start', 10, 2), stages('quick start', 2, 10)];
    const two = cluster([device('a', { memoryBytes: 10 }), device('b', { memoryBytes: 10 })]);
    const planned = plan(siblings, two, { peers: [] });
    expect(planned.jobs.map(({ intervals: [first] }) => first!.tasks)).toEqual([
      ['quick start', 'slow start'],
    ]);
    expect(planned).toMatchObject({ totalSeconds: 14, search: 'exact' });
    // Prefixes of siblings are cached all or none, which is not everything.
    const twice = siblings.map((one) => ({ ...one, steps: 2, epochs: 2 }));
    expect(plan(twice, two, { peers: [] }).search).toBe('bounded');
    expect(plan(twice, two, { peers: [], cache: false }).search).toBe('exact');
  });

  test('are as long as half a lane more where two lanes share the air that each would fill', () => {
    const devices = ['a', 'b', 'c', 'd'].map((id) => device(id, { memoryBytes: 110 }));
    const siblings = ['x', 'y'].map((name) =>
      task(layersFrom(0, 6, { outputBytes: 8, parameterBytes: 20 }), 1, { name, steps: 10 }),
    );
    const found = plan(siblings, cluster(devices, { bytesPerSecond: 1, medium: 'air' }), { peers: [] });
    const own = plan(siblings, cluster(devices, { bytesPerSecond: 1 }), { peers: [] });
    expect(own.jobs).toHaveLength(2);
    expect(found.totalSeconds).toBeGreaterThan(own.totalSeconds * 1.1);
    for (const { startSeconds, endSeconds, totalSeconds } of intervalsOf(own))
      expect(endSeconds - startSeconds).toBeCloseTo(totalSeconds, 9);
  });

  test('are no slower with siblings than without, with any number of levels', () => {
    const withoutCache = { cache: false, peers: [] };
    fc.assert(
      fc.property(arbitraryPlan(3, true), ({ workloads, on }) => {
        const apart = plan(workloads, on, { ...withoutCache, siblings: false }).totalSeconds;
        expect(plan(workloads, on, withoutCache).totalSeconds).toBeLessThanOrEqual(apart * (1 + 1e-9));
      }),
      { numRuns: sweeps },
    );
    fc.assert(
      fc.property(arbitraryLevels, ({ workloads, on }) => {
        const options = { ...withoutCache, exactDevices: 0, budget: 2000 };
        const inTurn = plan(workloads, on, { ...options, siblings: false }).totalSeconds;
        expect(plan(workloads, on, options).totalSeconds).toBeLessThanOrEqual(inTurn * (1 + 1e-9));
      }),
      { numRuns: sweeps },
    );
  });

  test('take no longer than the best of all lists with one device for each task', () => {
    fc.assert(
      fc.property(arbitraryPlan(4, true), ({ workloads, on }) => {
        // Segments that cost nothing to send, so that a list of times says all.
        const free = workloads.map((one) => ({
          ...one,
          layers: one.layers.map((each) => ({ ...each, gradientBytes: 0 })),
        }));
        const seconds = free.map((one) =>
          on.devices.map((only) => {
            try {
              return plan([{ ...one, dependsOn: [] }], { devices: [only], links: [] }).totalSeconds;
            } catch {
              return Infinity;
            }
          }),
        );
        const best = (ends: ReadonlyMap<string, number>, busy: readonly number[]): number =>
          ends.size === free.length
            ? Math.max(...ends.values())
            : Math.min(
                ...free.flatMap((one, index) =>
                  ends.has(one.name) || one.dependsOn!.some((parent) => !ends.has(parent))
                    ? []
                    : on.devices.map((_, at) => {
                        const start = Math.max(
                          busy[at]!,
                          ...one.dependsOn!.map((parent) => ends.get(parent)!),
                        );
                        const end = start + seconds[index]![at]!;
                        return best(new Map([...ends, [one.name, end]]), busy.with(at, end));
                      }),
                ),
              );
        const listed = best(
          new Map(),
          on.devices.map(() => 0),
        );
        if (listed < Infinity) expect(plan(free, on).totalSeconds).toBeLessThanOrEqual(listed * (1 + 1e-9));
      }),
      { numRuns: 2 * sweeps },
    );
  });

  test('of other names, in another order, on devices in another order take the same time', () => {
    fc.assert(
      fc.property(arbitraryPlan(3), fc.nat(5), ({ workloads, on }, turn) => {
        const called = new Map(on.devices.map(({ id }, index) => [id, `z${(index * 7 + turn) % 10}`]));
        const other: Cluster = {
          ...on,
          devices: on.devices
            .map((one) => ({ ...one, id: called.get(one.id)! }))
            .sort((a, b) => (a.id < b.id ? -1 : 1)),
          links: on.links.map((link) => ({
            ...link,
            from: called.get(link.from) ?? link.from,
            to: called.get(link.to) ?? link.to,
          })),
        };
        expect(plan(workloads, other).totalSeconds).toBeCloseTo(planOnce(workloads, on).totalSeconds, 9);
      }),
      { numRuns: sweeps },
    );
  });
});

/** Twelve levels of two siblings. */
const arbitraryLevels: fc.Arbitrary<{ workloads: Workload[]; on: Cluster }> = fc
  .integer({ min: 2, max: 3 })
  .chain((layers) =>
    fc.record({
      workloads: fc
        .tuple(...Array.from({ length: 24 }, (_, i) => arbitraryTask(`t${i}`, layers, 2)))
        .map((all) =>
          all.map((one, i) => ({
            ...one,
            steps: 1 + (i % 3),
            dependsOn: i < 2 ? [] : [`t${i - 2 - (i % 2)}`, `t${i - 1 - (i % 2)}`],
          })),
        ),
      on: arbitraryCluster(2),
    }),
  );

describe('with one more device, more memory or a faster link', () => {
  const never = (options: PlanOptions, change: (on: Cluster, by: number) => Cluster, most = 3) => {
    fc.assert(
      fc.property(
        arbitraryPlan(most),
        fc.double({ min: 1.01, max: 4, noNaN: true }),
        ({ workloads, on }, by) => {
          const before = plan(workloads, on, options).totalSeconds;
          const after = plan(workloads, change(on, by), options).totalSeconds;
          expect(after).toBeLessThanOrEqual(before * (1 + 1e-9));
        },
      ),
      { numRuns: 2 * sweeps },
    );
  };

  test('a plan is no slower: devices', () => {
    never({}, (on, by) => ({
      ...on,
      devices: [...on.devices, device('more', { flopsPerSecond: by, memoryBytes: 10 * by })],
    }));
  });

  test('a plan is no slower: memory', () => {
    never({}, (on, by) => ({
      ...on,
      devices: on.devices.map((one) => ({ ...one, memoryBytes: one.memoryBytes * by })),
    }));
  });

  test('a plan is no slower: links', () => {
    never({}, (on, by) => ({
      ...on,
      links: on.links.map((link) => ({ ...link, bytesPerSecond: link.bytesPerSecond * by })),
    }));
  });
});

describe('what moves', () => {
  const parent = task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 3, parameterBytes: 5 })], 1, {
    name: 'parent',
    steps: 10,
  });
  const child = { ...parent, name: 'child', dependsOn: ['parent'] };
  const slow = (more: Partial<Cluster>) => ({ ...cluster(2, { bytesPerSecond: 0.5 }), ...more });
  const transfers = (found: Plan) =>
    found.jobs.flatMap(({ tasks, fetches, collects }) =>
      [...fetches, ...collects].map(({ type, what, from, to, bytes }) => [
        tasks[0],
        type,
        what,
        from,
        to,
        bytes,
      ]),
    );

  test('is nothing where the child trains on its parent’s device', () => {
    const found = plan([parent, child], slow({}), { peers: [], groupLimit: 1 });
    expect(transfers(found)).toEqual([]);
    expect(found.totalSeconds).toBeCloseTo(40, 9);
    expect(found.totalBytes).toBe(0);
  });

  test('is the parent’s segment where the child trains elsewhere', () => {
    // The parent has one device to itself; two children share what follows.
    const children = ['left', 'right'].map((name) => ({ ...child, name }));
    const found = plan([parent, ...children], slow({}), { peers: [], groupLimit: 1 });
    expect(transfers(found)).toMatchObject([
      [expect.any(String), 'fetch', 'segment', expect.any(String), expect.any(String), 3],
    ]);
    // 3 bytes at half a byte a second, then 20 seconds of training.
    expect(found.totalSeconds).toBeCloseTo(20 + 6 + 20, 9);
    const late = found.jobs.find(({ fetches }) => fetches.length > 0)!;
    expect(late.fetches[0]).toMatchObject({ startSeconds: 20, endSeconds: 26 });
    expect(found.totalBytes).toBe(3);
  });

  test('is a segment once, whatever is built on it there', () => {
    const heirs = ['left', 'right'].flatMap((name) => [
      { ...child, name },
      { ...child, name: `${name} again`, dependsOn: [name] },
    ]);
    const found = plan([parent, ...heirs], slow({}), { peers: [], groupLimit: 1 });
    expect(transfers(found)).toHaveLength(1);
    expect(found.totalSeconds).toBeCloseTo(20 + 6 + 20 + 20, 9);
  });

  test('is the base where a device does not hold it, once', () => {
    const tasks = [parent, { ...parent, name: 'other' }, { ...parent, name: 'third', dependsOn: ['other'] }];
    const found = plan(tasks, slow({ resident: ['d0'], keeper: 'd0' }), { peers: [], groupLimit: 1 });
    const base = transfers(found).filter(([, , what]) => what === 'base');
    expect(base).toEqual([[expect.any(String), 'fetch', 'base', 'd0', 'd1', 5]]);
    const [fetched] = found.jobs.filter(({ devices }) => devices[0] === 'd1');
    // 5 bytes at half a byte a second.
    expect(fetched!.intervals[0]!.startSeconds).toBeCloseTo(fetched!.startSeconds + 10, 9);
    const held = plan(tasks, slow({ resident: ['d0', 'd1'] }), { peers: [], groupLimit: 1 });
    expect(transfers(held).filter(([, , what]) => what === 'base')).toEqual([]);
  });

  test('has to come from somewhere, or the plan is refused with the way out', () => {
    expect(() => plan([parent], slow({ resident: [] }))).toThrow(/resident: .*name a "keeper"/);
  });

  test('is every finished segment to the keeper, and the run ends when the last has come', () => {
    const found = plan(
      [parent],
      {
        ...slow({ keeper: 'd1', resident: ['d0', 'd1'] }),
        devices: [device('d0'), device('d1', { flopsPerSecond: 0.1 })],
      },
      { peers: [], groupLimit: 1 },
    );
    expect(transfers(found)).toEqual([['parent', 'collect', 'segment', 'd0', 'd1', 3]]);
    expect(found.totalSeconds).toBeCloseTo(20 + 6, 9);
  });

  test('comes with answers: a parent’s to its child’s prompts, a task’s to its validation samples', () => {
    const asks = { ...child, promptSamples: 4, validationSamples: 6 };
    const found = plan([parent, asks], cluster(1), { peers: [] });
    expect(found.jobs[1]!.answers).toMatchObject([
      { task: 'parent', reason: 'prompts', samples: 4, startSeconds: 20, endSeconds: 24 },
      { task: 'child', reason: 'validation', samples: 6, startSeconds: 44, endSeconds: 50 },
    ]);
    expect(found.totalSeconds).toBeCloseTo(50, 9);
  });
});

describe('a plan is never worse', () => {
  /** What a strategy takes for all tasks, one after the other, each tuned alone. */
  const peerSeconds = (workloads: readonly Workload[], on: Cluster, strategy: (typeof peers)[number]) =>
    workloads.reduce((sum, workload) => {
      const { samples, steps = 1 } = workload;
      const microbatches = [1, 2, 4, 8, 16, 32].filter((count) => count < samples);
      const problem = interval(openCostModel([workload], on), {
        steps,
        microbatches: [...microbatches, samples],
      });
      return sum + (tuneStrategy(strategy, problem)?.totalSeconds ?? Infinity);
    }, 0);

  test.each(peers)('than $name tuned alone', (strategy) => {
    fc.assert(
      fc.property(fc.oneof(arbitraryPlan(1), arbitraryPlan(3, true)), ({ workloads, on }) => {
        const found = planOnce(workloads, on);
        expect(found.totalSeconds).toBeLessThanOrEqual(peerSeconds(workloads, on, strategy) * (1 + 1e-9));
      }),
      { numRuns: Math.ceil(sweeps / 3) },
    );
  });

  test('than the peers on a cluster too large for the exact search', () => {
    const devices = Array.from({ length: 9 }, (_, i) =>
      device(`d${i}`, { flopsPerSecond: 1 + (i % 4), memoryBytes: 40 }),
    );
    const on = cluster(devices, { bytesPerSecond: 4, medium: 'air', latencySeconds: 0.01 });
    const workloads = [task(layersFrom(4, 14), 8, { steps: 10 })];
    const found = plan(workloads, on);
    expect(found.search).toBe('bounded');
    for (const strategy of peers)
      expect(found.totalSeconds).toBeLessThanOrEqual(peerSeconds(workloads, on, strategy) * (1 + 1e-9));
  });

  test('than on the devices of one channel alone where a slow bridge joins two', () => {
    const channel = (name: string) =>
      Array.from({ length: 4 }, (_, i) =>
        device(`${name}${i}`, { flopsPerSecond: 1 + (i % 2), memoryBytes: 40 }),
      );
    const devices = [...channel('a'), ...channel('b')];
    const links = devices.flatMap(({ id }, index) =>
      devices.slice(0, index).map((other) => ({
        from: id,
        to: other.id,
        latencySeconds: 0.01,
        ...(other.id.startsWith(id.slice(0, 1))
          ? { bytesPerSecond: 40, medium: id[0]! }
          : { bytesPerSecond: 1, medium: 'bridge' }),
      })),
    );
    const workloads = [task(layersFrom(2, 8), 8, { steps: 10 })];
    const both = plan(workloads, cluster(devices, ...links), { peers: [] }).totalSeconds;
    const one = plan(
      workloads,
      cluster(channel('a'), { bytesPerSecond: 40, medium: 'a', latencySeconds: 0.01 }),
      { peers: [] },
    ).totalSeconds;
    expect(both).toBeLessThanOrEqual(one * (1 + 1e-9));
  });

  test('with the activation cache where moving between its two intervals costs what it saves', () => {
    // Written with two stages in 5.0000015 seconds a step, but then read by one device for a second of latency more.
    const on = cluster([device('d0', { flopsPerSecond: 2 }), device('d1', { flopsPerSecond: 2 })], {
      bytesPerSecond: 1e6,
      latencySeconds: 1,
      medium: 'air',
    });
    const layers = [
      layer({ inputFlops: 0, forwardFlops: 2, parameterBytes: 0, outputBytes: 5 }),
      layer({ inputFlops: 0, forwardFlops: 3, weightFlops: 1, parameterBytes: 0, gradientBytes: 1 }),
    ];
    const workloads = [task(layers, 2, { steps: 3, epochs: 2 })];
    const without = plan(workloads, on, { peers: [], cache: false }).totalSeconds;
    expect(plan(workloads, on, { peers: [] }).totalSeconds).toBeLessThanOrEqual(without * (1 + 1e-9));
  });

  test('with the activation cache than without', () => {
    fc.assert(
      fc.property(arbitraryPlan(2), ({ workloads, on }) => {
        const options = { peers: [] };
        const without = plan(workloads, on, { ...options, cache: false });
        expect(plan(workloads, on, options).totalSeconds).toBeLessThanOrEqual(
          without.totalSeconds * (1 + 1e-9),
        );
      }),
      { numRuns: 3 * sweeps },
    );
  });

  test('than its lower bound allows, with a gap that says how close it is', () => {
    fc.assert(
      fc.property(arbitraryPlan(3), ({ workloads, on }) => {
        const found = planOnce(workloads, on);
        expect(found.lowerBoundSeconds).toBeLessThanOrEqual(found.totalSeconds * (1 + 1e-9));
        expect(found.gap).toBeCloseTo(found.totalSeconds / found.lowerBoundSeconds - 1, 9);
        for (const one of intervalsOf(found))
          expect(one.lowerBoundSeconds).toBeLessThanOrEqual(one.totalSeconds * (1 + 1e-9));
      }),
      { numRuns: sweeps },
    );
  });

  test('than a peer that splits layers, where exchanging gradients bounds whole layers away', () => {
    // One layer with nothing to reduce: two devices take half of it each, and send no gradient.
    const one = task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 1000 })], 1);
    const found = plan([one], cluster(2, { medium: 'air', bytesPerSecond: 1 }));
    expect(found.totalSeconds).toBe(1);
    expect(intervalsOf(found)[0]!.strategy).toBe(jora.name);
  });

  test('than its lower bound where messages move while devices compute', () => {
    // Each of two devices computes a second a step, and the air is busy for as long.
    const trained = layer({ forwardFlops: 0.5, inputFlops: 0, weightFlops: 0.5, gradientBytes: 99 });
    const one = task([layer({ inputFlops: 0, outputBytes: 1 }), trained], 1, { steps: 100 });
    const found = plan([one], cluster(2, { medium: 'air', bytesPerSecond: 1 }), { peers: [] });
    expect(found.totalSeconds).toBeLessThan(110);
    expect(found.lowerBoundSeconds).toBeCloseTo(100, 6);
  });

  test('than its lower bound when a peer splits single layers or their parameters', () => {
    // One sample, one layer, a network that costs nothing: tensor parallelism halves what no pipeline can.
    const found = plan(
      [task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 1, outputBytes: 1 })], 1)],
      cluster(2),
    );
    expect(found.lowerBoundSeconds).toBeLessThanOrEqual(found.totalSeconds * (1 + 1e-9));
    expect(found.gap).toBeGreaterThanOrEqual(-1e-9);
  });
});

describe('the activation cache', () => {
  const workload = (epochs: number, steps = 30) => task(layersFrom(4, 6), 4, { epochs, steps });

  test('takes the frozen prefix’s work away from the second epoch on', () => {
    const found = plan([workload(3)], cluster(1));
    const [write, read] = intervalsOf(found);
    expect([write!.steps, read!.steps]).toEqual([10, 20]);
    expect([write!.cache, read!.cache]).toEqual([{ t: 'write' }, { t: 'read' }]);
    // Six forwards, one input gradient and two weight gradients of a quarter; then two forwards.
    expect(write!.stepSeconds).toBeCloseTo(4 * (6 + 1 + 0.5), 9);
    expect(read!.stepSeconds).toBeCloseTo(4 * (2 + 1 + 0.5), 9);
    expect(found.totalSeconds).toBeCloseTo(10 * 30 + 20 * 14, 6);
  });

  test('is written in every step that has samples of the first epoch', () => {
    const found = plan([task(layersFrom(3), 4, { steps: 5, epochs: 2 })], cluster(1), { peers: [] });
    expect(intervalsOf(found).map(({ steps, cache }) => [steps, cache['t']])).toEqual([
      [3, 'write'],
      [2, 'read'],
    ]);
  });

  test('is left out in a single epoch, when switched off, where nothing is frozen and where it does not fit', () => {
    const caches = (found: Plan) => intervalsOf(found).flatMap(({ cache }) => Object.values(cache));
    expect(caches(plan([workload(1)], cluster(1)))).toEqual([]);
    expect(caches(plan([workload(3)], cluster(1), { cache: false }))).toEqual([]);
    expect(caches(plan([task(layersFrom(0, 6), 4, { epochs: 3, steps: 30 })], cluster(1)))).toEqual([]);
    // 10 steps of 4 samples of a quarter byte.
    expect(caches(plan([workload(3)], cluster([device('d0', { storageBytes: 10 })])))).toEqual([
      'write',
      'read',
    ]);
    expect(caches(plan([workload(3)], cluster([device('d0', { storageBytes: 9.99 })])))).toEqual([]);
    // Storage so slow that computing again is quicker.
    expect(caches(plan([workload(3)], cluster([device('d0', { storageBytesPerSecond: 0.01 })])))).toEqual([]);
  });

  test('gives no work to devices below the lowest trained layer when the prefix is read', () => {
    fc.assert(
      fc.property(arbitraryPlan(1), ({ workloads, on }) => {
        const found = plan(workloads, on, { peers: [] });
        const lowest = workloads[0]!.layers.findIndex(
          ({ inputFlops, weightFlops }) => inputFlops + weightFlops > 0,
        );
        for (const { cache, placement } of intervalsOf(found))
          if (cache['t0'] === 'read') expect(placement.stages[0]!.end).toBeGreaterThan(lowest);
      }),
      { numRuns: 3 * sweeps },
    );
  });
});

describe('a plan', () => {
  test('is deterministic and plain JSON', () => {
    fc.assert(
      fc.property(arbitraryPlan(3), ({ workloads, on }) => {
        const found = planOnce(workloads, on);
        expect(JSON.parse(JSON.stringify(found))).toEqual(found);
        expect(JSON.stringify(plan(structuredClone(workloads), structuredClone(on)))).toBe(
          JSON.stringify(found),
        );
        expect(describePlan(JSON.parse(JSON.stringify(found)) as Plan, on)).toBe(describePlan(found, on));
      }),
      { numRuns: sweeps },
    );
  });

  test('does not change its input', () => {
    const workloads = [task(layersFrom(2), 4, { steps: 4, epochs: 2 })];
    const on = cluster(2);
    const before = JSON.stringify([workloads, on]);
    plan(workloads, on);
    expect(JSON.stringify([workloads, on])).toBe(before);
  });

  const agrees = (found: Plan, workloads: readonly Workload[], on: Cluster) => {
    for (const [index, one] of intervalsOf(found).entries()) {
      const { schedule, workloads: active } = scheduleOf(found, workloads, on, { interval: index, steps: 4 });
      expect(schedule.steps).toBe(Math.min(4, one.steps));
      expect(validateSchedule(openCostModel(active, on), schedule)).toEqual([]);
      const timeline = simulate(schedule, active, on);
      for (const { device: id, peakMemoryBytes } of timeline.devices)
        expect(peakMemoryBytes).toBe(one.peakMemoryBytes[id]);
      const lowest = active[0]!.layers.findIndex(
        ({ inputFlops, weightFlops }) => inputFlops + weightFlops > 0,
      );
      if (active.length > 1 || lowest < 0 || lowest >= one.placement.stages[0]!.end) continue;
      // Two steps are played; every further one takes as long as the second.
      const two = scheduleOf(found, workloads, on, { interval: index, steps: 2 }).schedule;
      const played = simulate(two, active, on);
      const further = (one.steps - two.steps) * one.stepSeconds;
      expect(one.totalSeconds).toBeCloseTo(played.makespanSeconds + further, 9);
      expect(played.bytes / two.steps).toBeCloseTo(one.bytesPerStep, 9);
    }
  };

  test('is what the simulator plays, interval by interval', () => {
    fc.assert(
      fc.property(arbitraryPlan(3), ({ workloads, on }) => {
        agrees(plan(workloads, on, { peers: [] }), workloads, on);
      }),
      { numRuns: 2 * sweeps },
    );
  });

  test('counts a step as what one more step takes, not as the whole first step', () => {
    // d1 computes its long weight gradient while d0 is already at the next step.
    const layers = [
      layer({ inputFlops: 0, weightFlops: 1, parameterBytes: 10 }),
      layer({ parameterBytes: 10 }),
      layer({ weightFlops: 3, parameterBytes: 10 }),
    ];
    const workloads = [task(layers, 1, { steps: 100 })];
    const on = cluster([device('d0', { memoryBytes: 25 }), device('d1', { memoryBytes: 25 })]);
    const found = plan(workloads, on, { peers: [], groupLimit: 1 });
    const { schedule, workloads: active } = scheduleOf(found, workloads, on, { steps: 100 });
    expect(found.totalSeconds / simulate(schedule, active, on).makespanSeconds).toBeCloseTo(1, 2);
  });

  test('is what the simulator plays when a peer’s placement was taken over, its exchanges included', () => {
    const workloads = [task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 1, outputBytes: 1 })], 1)];
    const on = cluster(2, { bytesPerSecond: 8 });
    const found = plan(workloads, on);
    expect(intervalsOf(found)[0]!.strategy).toMatch(/JORA/);
    agrees(found, workloads, on);
  });

  test('is what the simulator plays when memory is kept in reserve', () => {
    const layers = layersFrom(0, 4, { activationBytes: 3 });
    const on = cluster([device('d0', { memoryBytes: 30 }), device('d1', { memoryBytes: 30 })]);
    const workloads = [task(layers, 8)];
    const found = plan(workloads, on, { memoryReserve: 0.3, peers: [], groupLimit: 1, microbatches: [8] });
    for (const { peakMemoryBytes } of intervalsOf(found))
      for (const bytes of Object.values(peakMemoryBytes)) expect(bytes).toBeLessThanOrEqual(21);
    agrees(found, workloads, on);
  });

  test('refuses intervals it does not have', () => {
    const workloads = [task(layersFrom(0), 2)];
    const found = plan(workloads, cluster(1));
    expect(() => scheduleOf(found, workloads, cluster(1), { interval: 1 })).toThrow(
      /the plan has 1 intervals in 1 jobs, got interval 1/,
    );
  });

  test('made with a new strategy and a new policy needs both for its schedule', () => {
    const policy: Policy = { ...oneForwardOneBackward, name: 'mine' };
    const mine: Strategy = {
      name: 'mine',
      source: 'this test',
      interleavesTasks: false,
      *candidates(problem) {
        for (const { placement } of jora.candidates(problem)) yield { placement, policies: [policy] };
      },
    };
    const workloads = [task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 1 })], 1)];
    const found = plan(workloads, cluster(2), { peers: [mine] });
    expect(intervalsOf(found)).toMatchObject([{ strategy: 'mine', policy: 'mine' }]);
    expect(() => scheduleOf(found, workloads, cluster(2))).toThrow(/policy "mine"/);
    expect(() => scheduleOf(found, workloads, cluster(2), { policies: [policy] })).toThrow(/strategy "mine"/);
    const { schedule } = scheduleOf(found, workloads, cluster(2), { peers: [mine], policies: [policy] });
    expect(schedule.policy).toBe('mine');
  });

  test('minimises energy when it is asked to', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 3 })
          .chain((devices) => fc.tuple(arbitraryTask('t', 3, 4), arbitraryCluster(devices, { power: true }))),
        ([workload, on]) => {
          const energy = plan([workload], on, { objective: 'energy', peers: [] });
          const time = plan([workload], on, { peers: [] });
          expect(energy.totalJoules!).toBeLessThanOrEqual(time.totalJoules! * (1 + 1e-9));
          expect(time.totalSeconds).toBeLessThanOrEqual(energy.totalSeconds * (1 + 1e-9));
        },
      ),
      { numRuns: sweeps },
    );
  });
});

describe('the explanation', () => {
  test('names each unused device and why', () => {
    const on = {
      devices: [
        device('main', { memoryBytes: 1000 }),
        device('tiny', { memoryBytes: 3 }),
        device('island', { memoryBytes: 1000, flopsPerSecond: 0.5 }),
        device('slow', { memoryBytes: 1000, flopsPerSecond: 0.01 }),
      ],
      links: [
        { from: 'main', to: 'slow', bytesPerSecond: 1, latencySeconds: 0 },
        { from: 'main', to: 'tiny', bytesPerSecond: 1, latencySeconds: 0 },
      ],
    };
    const found = plan([task(layersFrom(0), 4)], on);
    const { unused } = found.explanation;
    const { devices, binding } = found.explanation.intervals[0]!;
    expect(devices.map(({ device: id }) => id)).toEqual(['main']);
    expect(unused.map(({ device: id, reason }) => [id, reason])).toEqual([
      ['tiny', 'memory'],
      ['island', 'unreachable'],
      ['slow', 'slower'],
    ]);
    const slower = unused.find(({ reason }) => reason === 'slower')!;
    if (slower.ratio !== undefined) expect(slower.ratio).toBeGreaterThanOrEqual(1);
    expect(binding).toMatchObject({ kind: 'device', name: 'main' });
    expect(binding.reached).toBeCloseTo(1, 9);
    const text = describePlan(found, on);
    expect(text).toMatch(/tiny is not used: it cannot hold a single layer/);
    expect(text).toMatch(/island is not used: no link leads to it/);
    expect(text).toMatch(/slow is not used: (with it the plan takes|no plan with it)/);
    expect(text).toMatch(/bound by the computing of main, reached to 100 %/);
  });

  test('accounts for every device of every interval, and rejects nothing better than what it chose', () => {
    fc.assert(
      fc.property(arbitraryPlan(1), ({ workloads, on }) => {
        const found = planOnce(workloads, on);
        const all = intervalsOf(found);
        expect(found.explanation.intervals).toHaveLength(all.length);
        const { unused } = found.explanation;
        const everUsed = new Set(found.jobs.flatMap(({ devices }) => devices));
        expect([...everUsed, ...unused.map(({ device: id }) => id)].sort()).toEqual(
          on.devices.map(({ id }) => id).sort(),
        );
        for (const [index, { devices, binding }] of found.explanation.intervals.entries()) {
          const used = all[index]!.placement.stages.flatMap(({ members }) =>
            members.map((member) => member.device),
          );
          expect(devices.map(({ device: id }) => id).sort()).toEqual([...used].sort());
          for (const { idleFraction } of devices) {
            expect(idleFraction).toBeGreaterThanOrEqual(-1e-12);
            expect(idleFraction).toBeLessThanOrEqual(1);
          }
          expect(binding.reached).toBeLessThanOrEqual(1 + 1e-9);
          const text = describePlan(found, on);
          for (const { device: id } of unused) expect(text).toContain(`${id} is not used`);
        }
      }),
      { numRuns: sweeps },
    );
  });

  test('gives ratios of 1 or more for what was rejected, where the cut is chosen for its own sake', () => {
    fc.assert(
      fc.property(arbitraryPlan(1), ({ workloads, on }) => {
        const single = workloads.map((one) => ({ ...one, epochs: 1 }));
        const { intervals, jobs, unused } = plan(single, on).explanation;
        const told = [...intervals, ...jobs].flatMap(({ rejected }) =>
          rejected.map(({ ratio }) => ({ ratio })),
        );
        for (const { ratio = 1 } of [...told, ...unused]) expect(ratio).toBeGreaterThanOrEqual(1 - 1e-9);
      }),
      { numRuns: sweeps },
    );
  });

  test('keeps one cut for all intervals where an interval knows it with several shares', () => {
    // Tasks of 1 and 3 samples divide one layer between two devices differently.
    const one = (name: string, samples: number, dependsOn: string[]) =>
      task(
        [layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 1, optimizerBytes: 2, outputBytes: 1 })],
        samples,
        { name, dependsOn },
      );
    const tasks = [one('t0', 1, []), one('t1', 3, ['t0']), one('t2', 1, [])];
    const rates = { forward: 1, input: 1, weight: 1 };
    const on = cluster([device('d0'), device('d1', { flopsPerSecond: rates })], { bytesPerSecond: 1e6 });
    const found = plan(tasks, on);
    expect(found.totalSeconds).toBeGreaterThanOrEqual(found.lowerBoundSeconds * (1 - 1e-9));
  });

  test('describes a placement in words', () => {
    expect(
      describePlacement({
        tasks: ['t'],
        microbatches: 1,
        stages: [
          {
            start: 0,
            end: 8,
            members: [
              { device: 'nano', share: 0.5 },
              { device: 'tx2', share: 0.5 },
            ],
          },
          { start: 8, end: 9, members: [{ device: 'orin', share: 1 }] },
        ],
      }),
    ).toMatch(/layers? 0–7 on nano \+ tx2 \| layers? 8.* on orin; 1 micro-batch$/);
  });
});
