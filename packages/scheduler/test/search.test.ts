import { describe, expect, test } from '@jest/globals';
import {
  type Assessment,
  assessPlacement,
  buildSchedule,
  contextGear,
  contextGearDeep,
  exactSearch,
  lowerBound,
  memoryOf,
  type Objective,
  openCostModel,
  periodBound,
  plan,
  type Placement,
  searchInterval,
  type IntervalProblem,
  shareSamples,
  simulate,
  type Stage,
  validateSchedule,
} from '@contextlora/scheduler';
import fc from 'fast-check';
import { randomProblem, seededRandom } from '../bench/random-problems.js';
import { tryEverything } from './brute-force.js';
import {
  arbitraryCluster,
  arbitraryProblem,
  arbitraryTask,
  chain,
  cluster,
  device,
  equalLayers,
  layer,
  open,
  interval,
  task,
} from './problems.js';

const smallCases = 80; // up to 3 devices × 5 layers, one or two tasks
const tinyCases = 200; // up to 3 devices × 4 layers × 3 samples
const largeCases = 5; // 4 devices × 6 layers
const boundCases = 400;

/** Every ordered set of disjoint groups, every cut and every number of micro-batches, with one share of each group. */
function* everyPlacement(problem: IntervalProblem): Generator<Placement> {
  const { costs, tasks, groupLimit } = problem;
  const groupings = function* (unused: readonly number[]): Generator<number[][]> {
    yield [];
    for (let mask = 1; mask < 2 ** unused.length; mask++) {
      const group = unused.filter((_, bit) => mask & (1 << bit));
      if (group.length > groupLimit) continue;
      for (const rest of groupings(unused.filter((one) => !group.includes(one)))) yield [group, ...rest];
    }
  };
  const cutsOf = function* (stages: number, from: number): Generator<number[]> {
    if (stages === 1) yield [costs.layerCount];
    else
      for (let end = from + 1; end <= costs.layerCount - (stages - 1); end++)
        for (const rest of cutsOf(stages - 1, end)) yield [end, ...rest];
  };
  for (const groups of groupings(costs.devices.map((_, index) => index)))
    if (groups.length > 0 && groups.length <= costs.layerCount)
      for (const ends of cutsOf(groups.length, 0))
        for (const microbatches of problem.microbatches) {
          const stages = groups.map((group, index): Stage | undefined => {
            const range = { start: index === 0 ? 0 : ends[index - 1]!, end: ends[index]! };
            const members = shareSamples(problem, range, group, microbatches);
            return members && { ...range, members };
          });
          if (stages.every((stage) => stage !== undefined)) yield { tasks, microbatches, stages };
        }
}

function bestOfOneShare(problem: IntervalProblem): Assessment | undefined {
  let best: Assessment | undefined;
  for (const placement of everyPlacement(problem)) {
    const found = assessPlacement(problem, placement);
    if (found && (!best || found.value < best.value)) best = found;
  }
  return best;
}

interface Sizes {
  readonly devices: readonly [number, number];
  readonly layers: readonly [number, number];
  readonly tasks: number;
  readonly policies?: IntervalProblem['policies'];
  readonly samples?: number;
  readonly steps?: number;
}

const arbitraryInterval = ({
  devices,
  layers,
  tasks,
  policies = [contextGear, contextGearDeep],
  samples = 6,
  steps: mostSteps = 9,
}: Sizes): fc.Arbitrary<IntervalProblem> =>
  fc
    .record({
      devices: fc.integer({ min: devices[0], max: devices[1] }),
      layers: fc.integer({ min: layers[0], max: layers[1] }),
      tasks: fc.integer({ min: 1, max: tasks }),
    })
    .chain((size) =>
      fc
        .record({
          workloads: fc.tuple(
            ...Array.from({ length: size.tasks }, (_, i) => arbitraryTask(`t${i}`, size.layers, samples)),
          ),
          on: arbitraryCluster(size.devices, { memoryBytes: 24 * size.layers, power: true }),
          objective: fc.constantFrom<Objective>('time', 'time', 'energy', {
            secondsWeight: 1,
            joulesWeight: 0.1,
          }),
          steps: fc.integer({ min: 1, max: mostSteps }),
          groupLimit: fc.constantFrom(1, 2, 64),
          window: fc.integer({ min: 1, max: 2 }),
        })
        .map(({ workloads, on, ...rest }) => {
          const least = Math.min(...workloads.map(({ samples }) => samples));
          return interval(openCostModel(workloads, on), {
            ...rest,
            policies,
            microbatches: [1, 2, 4].filter((count) => count <= least),
            anyMicrobatches: mostSteps === 2,
          });
        }),
    );

const small = arbitraryInterval({ devices: [1, 3], layers: [1, 5], tasks: 2 });
const tiny = fc.oneof(
  arbitraryInterval({ devices: [2, 3], layers: [2, 4], tasks: 1, samples: 3, steps: 2 }),
  arbitraryInterval({ devices: [2, 2], layers: [2, 4], tasks: 2, samples: 2, steps: 2 }),
);
const large = arbitraryInterval({ devices: [4, 4], layers: [6, 6], tasks: 1, policies: [contextGear] });

/** Equal but for rounding, or both missing. */
function expectClose(found: number | undefined, expected: number | undefined) {
  if (expected === undefined) expect(found).toBeUndefined();
  else expect(found! / expected).toBeCloseTo(1, 9);
}

/** A placement keeps every rule and every memory, and is worth what it says. */
function expectSound(problem: IntervalProblem, found: Assessment) {
  const { placement, policy, simulatedSteps } = found;
  const { costs, window } = problem;
  let next = 0;
  for (const { start, end, members } of placement.stages) {
    expect(start).toBe(next);
    expect(end).toBeGreaterThan(start);
    expect(members.length).toBeGreaterThan(0);
    expect(members.length).toBeLessThanOrEqual(problem.groupLimit);
    expect(members.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    next = end;
  }
  expect(next).toBe(costs.layerCount);
  if (!problem.anyMicrobatches) expect(problem.microbatches).toContain(placement.microbatches);
  const schedule = buildSchedule(costs, [placement], { policy, window, steps: simulatedSteps });
  expect(validateSchedule(costs, schedule)).toEqual([]);
  for (const [index, { device: id }] of schedule.programs.entries()) {
    const { totalBytes } = memoryOf(costs, schedule, index);
    expect(totalBytes).toBe(found.peakMemoryBytes[id]);
    expect(totalBytes).toBeLessThanOrEqual(costs.devices[costs.deviceIndex(id)]!.memoryBytes);
  }
  expect(assessPlacement({ ...problem, policies: [policy] }, placement)).toEqual(found);
}

describe('the exact search', () => {
  test.each([
    ['1 to 3 devices and 1 to 5 layers', small, smallCases],
    ['4 devices and 6 layers', large, largeCases],
  ] as const)('is never worse than one share of every group, on %s', (_, problems, numRuns) => {
    fc.assert(
      fc.property(problems, (problem) => {
        const best = bestOfOneShare(problem);
        const whole = searchInterval(problem);
        if (best) expect(whole.found[0]!.value).toBeLessThanOrEqual(best.value * (1 + 1e-9));
        const [found] = whole.found;
        if (found) expectSound(problem, found);
        const { best: exact, complete } = exactSearch(problem);
        if (whole.search === 'exact' && complete) expectClose(found?.value, exact?.value);
      }),
      { numRuns, endOnFailure: true },
    );
  });

  test('finds what trying everything finds: all shares, all numbers of micro-batches, all depths', () => {
    fc.assert(
      fc.property(tiny, (problem) => {
        const best = tryEverything(problem);
        const { found, search } = searchInterval(problem);
        expect(search).toBe('exact');
        expectClose(found[0]?.value, best?.value);
        if (found[0]) expectSound(problem, found[0]);
      }),
      { numRuns: tinyCases, endOnFailure: true },
    );
  });

  test('tries devices that differ only in name in one order, and loses nothing by it', () => {
    const devices = ['a', 'b', 'c'].map((id) => device(id, { memoryBytes: 40, watts: 5 }));
    fc.assert(
      fc.property(
        arbitraryTask('t', 3, 3),
        fc.constantFrom({}, { medium: 'air', bytesPerSecond: 4 }),
        fc.constantFrom({ from: '*', to: '*' }, { from: 'b', to: '*' }, { from: 'b', to: 'c' }),
        (workload, air, named) => {
          const on = cluster(
            devices,
            { ...named, bytesPerSecond: 10, ...air },
            { bytesPerSecond: 2, ...air },
          );
          const problem = interval(openCostModel([workload], on), { microbatches: [1, workload.samples] });
          expectClose(exactSearch(problem).best?.value, tryEverything(problem)?.value);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('finds devices alike from how others reach them, not from how links are written', () => {
    const classesOf = (links: readonly object[], count = 4) =>
      openCostModel([], { ...cluster(count), links: cluster(1, ...links).links }).devices.map(
        ({ interchangeableWith }) => interchangeableWith,
      );
    const pairs = (rate: (from: number, to: number) => number) =>
      [0, 1, 2, 3].flatMap((from) =>
        [0, 1, 2, 3]
          .filter((to) => to > from)
          .map((to) => ({ from: `d${from}`, to: `d${to}`, bytesPerSecond: rate(from, to) })),
      );
    expect(classesOf([{}])).toEqual([0, 0, 0, 0]);
    expect(classesOf(pairs(() => 5))).toEqual([0, 0, 0, 0]);
    // Two pairs: within each the two could change places, but not one with one of the other pair.
    expect(classesOf(pairs((from, to) => (from + to === 1 || from + to === 5 ? 5 : 3)))).toEqual([
      0, 0, 2, 2,
    ]);
    // A hub, written in either way, and one direction that differs.
    expect(classesOf(pairs((from) => (from === 0 ? 5 : 3)))).toEqual([0, 1, 1, 1]);
    expect(classesOf([{ from: 'd0', bytesPerSecond: 5 }, {}])).toEqual([0, 1, 1, 1]);
    expect(classesOf([{ from: 'd0', to: 'd1' }, { from: 'd1', to: 'd0', bytesPerSecond: 5 }, {}])).toEqual([
      0, 1, 2, 2,
    ]);
  });

  test('opens, plans and simulates 500 devices that are linked in pairs', () => {
    const devices = Array.from({ length: 500 }, (_, at) => device(`d${at}`, { flopsPerSecond: 1 + at / 50 }));
    const links = devices.flatMap(({ id: from }, at) =>
      devices.slice(at + 1).map(({ id: to }) => ({ from, to, bytesPerSecond: 1e3, latencySeconds: 0 })),
    );
    const workloads = [task(equalLayers(8, 1, 2), 8)];
    const found = plan(workloads, { devices, links }, { peers: [] });
    expect(found.totalSeconds).toBeGreaterThanOrEqual(found.lowerBoundSeconds);
    const costs = openCostModel(workloads, { devices, links });
    const schedule = buildSchedule(costs, [chain([4, 8], 4)]);
    expect(simulate(schedule, workloads, { devices, links }).unfinished).toBe(0);
  }, 60_000);

  test('treats two interchangeable devices the same in a group with a third that a link names', () => {
    // "b" is named, so "a" and "c" are interchangeable, and groups "b c" and "a b" must split their samples alike.
    const devices = ['a', 'b', 'c'].map((id) => device(id, { memoryBytes: 40, watts: 5 }));
    const on = cluster(devices, { from: 'b', to: '*', bytesPerSecond: 10 }, { bytesPerSecond: 2 });
    const layers = [
      layer({ inputFlops: 0, weightFlops: 2, gradientBytes: 2, optimizerBytes: 4, outputBytes: 1 }),
      layer({ weightFlops: 2, gradientBytes: 2, optimizerBytes: 4, outputBytes: 1 }),
      layer({ weightFlops: 2, gradientBytes: 2, optimizerBytes: 4, outputBytes: 1 }),
      layer({ outputBytes: 1 }),
    ];
    const problem = interval(openCostModel([task(layers, 2)], on), { microbatches: [1, 2] });
    expectClose(exactSearch(problem).best?.value, tryEverything(problem)?.value);
  });

  test('does not mistake a bound for a placement’s value where weight gradients are long', () => {
    // The last layer's weight gradient is hidden behind the way back of the input gradient.
    const layers = [
      layer({ inputFlops: 0, weightFlops: 1 }),
      layer({ inputFlops: 6 }),
      layer({ inputFlops: 1, weightFlops: 6 }),
    ];
    const problem = interval(openCostModel([task(layers, 1)], cluster(2)));
    expectClose(exactSearch(problem).best?.value, tryEverything(problem)?.value);
  });

  test('leaves out an order in which members of groups wait for each other for ever', () => {
    // d14 keeps two micro-batches only, so those ahead of it in its group fill the buffers of the stages above.
    const { workload, cluster: on } = randomProblem(seededRandom(7), {
      devices: 16,
      layers: 48,
      samples: 64,
      memoryShare: 0.4,
      megabitsPerSecond: 1000,
      shared: false,
    });
    const costs = openCostModel([workload], on);
    const stages = (
      [
        [18, { d13: 17, d11: 16, d3: 16, d14: 15 }],
        [25, { d0: 32, d6: 32 }],
        [28, { d8: 64 }],
        [31, { d10: 64 }],
        [36, { d12: 33, d7: 31 }],
        [47, { d15: 18, d5: 14, d1: 13, d4: 10, d2: 9 }],
        [48, { d9: 64 }],
      ] as const
    ).map(([end, samples], index, all): Stage => ({
      start: index === 0 ? 0 : all[index - 1]![0],
      end,
      members: Object.entries(samples).map(([id, count]) => ({ device: id, share: count / 64 })),
    }));
    const placement = { tasks: [workload.name], microbatches: 64, stages };
    const problem = interval(costs, { steps: 100 });
    expect(() => buildSchedule(costs, [placement], { policy: contextGearDeep, steps: 2 })).toThrow(
      'wait for each other for ever',
    );
    expect(assessPlacement(problem, placement)?.policy).toBe(contextGear);
    expect(assessPlacement({ ...problem, policies: [contextGearDeep] }, placement)).toBeUndefined();
  });

  test('answers that nothing fits when nothing does', () => {
    const problem = interval(
      openCostModel([task(equalLayers(2, 1, 2), 1)], cluster([device('d0', { memoryBytes: 1 })])),
    );
    expect(exactSearch(problem).best).toBeUndefined();
    expect(searchInterval(problem).found).toEqual([]);
  });
});

describe('the bounded search', () => {
  test('is never better than the exact one, keeps every rule, and says that it is bounded', () => {
    fc.assert(
      fc.property(small, (problem) => {
        const exact = searchInterval(problem);
        const bounded = searchInterval(problem, { exactDevices: 0 });
        expect(bounded.search).toBe('bounded');
        if (exact.found.length === 0) expect(bounded.found).toEqual([]);
        for (const found of bounded.found) expectSound(problem, found);
        if (bounded.found.length > 0)
          expect(bounded.found[0]!.value).toBeGreaterThanOrEqual(exact.found[0]!.value);
        const values = bounded.found.map(({ value }) => value);
        expect(values).toEqual([...values].sort((a, b) => a - b));
      }),
      { numRuns: smallCases },
    );
  });

  test('changes how deep the lowest stage alternates, below which there is none', () => {
    const trained = { weightFlops: 2, gradientBytes: 2, optimizerBytes: 4 };
    const layers = [
      layer({ forwardFlops: 6, inputFlops: 0, parameterBytes: 6, activationBytes: 5, outputBytes: 9 }),
      layer({ ...trained, forwardFlops: 3, inputFlops: 0, activationBytes: 6, outputBytes: 2 }),
      layer({ ...trained, weightFlops: 7, gradientBytes: 7, optimizerBytes: 14, outputBytes: 6 }),
    ];
    const devices = [
      device('d0', { flopsPerSecond: { forward: 2, input: 3, weight: 4 }, memoryBytes: 56 }),
      device('d1', { flopsPerSecond: 4, overheadSeconds: 0.25, memoryBytes: 29 }),
      device('d2', { flopsPerSecond: 3, memoryBytes: 57 }),
    ];
    const on = cluster(devices, { bytesPerSecond: 3, medium: 'air' });
    const problem = interval(openCostModel([task(layers, 3)], on), {
      ...{ microbatches: [1, 2], anyMicrobatches: true, steps: 6 },
    });
    const [found] = searchInterval(problem, { exactDevices: 0, budget: 20_000 }).found;
    expectSound({ ...problem, policies: [found!.policy] }, found!);
  });

  test('is never better than the exact search without its help', () => {
    fc.assert(
      fc.property(small, (problem) => {
        const exact = exactSearch(problem).best;
        const bounded = searchInterval(problem, { exactDevices: 0 }).found[0];
        if (bounded) expect(bounded.value).toBeGreaterThanOrEqual(exact!.value * (1 - 1e-9));
      }),
      { numRuns: 2 * smallCases },
    );
  });

  test('counts the energy of updates when it has time for one placement only', () => {
    // Forward and backward alone speak for the others; the update's launch is what makes them the worse.
    const quick = ['d0', 'd1', 'd2'].map((id) =>
      device(id, { flopsPerSecond: 1.1, overheadSeconds: 1, watts: 1 }),
    );
    const devices = [...quick, device('d3', { flopsPerSecond: 0.87, watts: 1 })];
    const problem = interval(
      openCostModel([task([layer({ forwardFlops: 5, inputFlops: 0, weightFlops: 5 })], 1)], cluster(devices)),
      { objective: 'energy' },
    );
    const { found } = searchInterval(problem, { exactDevices: 0, budget: 1 });
    expect(found[0]!.placement.stages[0]!.members[0]!.device).toBe('d3');
    expect(found[0]!.value).toBeCloseTo(10 / 0.87, 9);
  });

  test('considers the placements it is given', () => {
    fc.assert(
      fc.property(small, (problem) => {
        const best = exactSearch(problem).best;
        if (!best) return;
        const { found } = searchInterval(problem, { exactDevices: 0, seeds: [best.placement] });
        expect(found[0]!.value).toBeLessThanOrEqual(best.value * (1 + 1e-9));
      }),
      { numRuns: smallCases },
    );
  });

  test('answers for a cluster of 20 devices within its budget, and answers the same again', () => {
    const devices = Array.from({ length: 20 }, (_, i) =>
      device(`d${i}`, { flopsPerSecond: 1 + (i % 5), memoryBytes: 30 }),
    );
    const layers = equalLayers(16, 1, 2).map((one) => ({
      ...one,
      parameterBytes: 6,
      outputBytes: 1,
      gradientBytes: 1,
    }));
    const problem = interval(openCostModel([task(layers, 8)], cluster(devices, { bytesPerSecond: 50 })), {
      microbatches: [4, 8],
    });
    const first = searchInterval(problem, { budget: 15_000 });
    expect(first.search).toBe('bounded');
    expectSound(problem, first.found[0]!);
    expect(JSON.stringify(searchInterval(problem, { budget: 15_000 }))).toBe(JSON.stringify(first));
  });
});

test('a search answers the same question the same way, whatever was asked before', () => {
  fc.assert(
    fc.property(small, (problem) => {
      expect(JSON.stringify(searchInterval(problem))).toBe(JSON.stringify(searchInterval(problem)));
    }),
    { numRuns: 30 },
  );
});

describe('the lower bound', () => {
  test('is not above any placement’s value, nor the period bound above its time', () => {
    fc.assert(
      fc.property(small, (problem) => {
        const { value, stepSeconds } = lowerBound(problem);
        for (const placement of everyPlacement(problem)) {
          const found = assessPlacement(problem, placement);
          if (!found) continue;
          const slack = 1 + 1e-9;
          expect(value).toBeLessThanOrEqual(found.value * slack);
          expect(stepSeconds * problem.steps).toBeLessThanOrEqual(found.totalSeconds * slack);
          expect(periodBound(problem, placement).seconds * problem.steps).toBeLessThanOrEqual(
            found.totalSeconds * slack,
          );
        }
      }),
      { numRuns: smallCases },
    );
  });

  test('holds for random shares too, and over many steps', () => {
    fc.assert(
      fc.property(arbitraryProblem({ tasks: 2 }), fc.integer({ min: 1, max: 50 }), (problem, steps) => {
        const asked = interval(open(problem), {
          steps,
          window: problem.window,
          microbatches: [problem.placement.microbatches],
        });
        const found = assessPlacement(asked, problem.placement);
        if (!found) return;
        const seconds = found.totalSeconds * (1 + 1e-9);
        expect(lowerBound(asked).value).toBeLessThanOrEqual(seconds);
        expect(periodBound(asked, problem.placement).seconds * steps).toBeLessThanOrEqual(seconds);
      }),
      { numRuns: boundCases },
    );
  });

  test('of a step counts the round trip of what a device with little memory keeps', () => {
    // From its forward to its gradient a micro-batch of d0 takes 1 + 2 · (1 + 1) seconds, and d0 keeps one at a time.
    const placement = chain([1, 2, 3], 4);
    const boundWith = (memoryBytes: number) => {
      const devices = [device('d0', { memoryBytes }), device('d1'), device('d2')];
      const costs = openCostModel([task(equalLayers(3, 1, 2), 4)], cluster(devices));
      const problem = interval(costs, { steps: 8 });
      const { totalSeconds } = assessPlacement(problem, placement)!;
      const bound = periodBound(problem, placement);
      expect(bound.seconds * problem.steps).toBeLessThanOrEqual(totalSeconds);
      return bound;
    };
    expect(boundWith(2)).toEqual({ seconds: 20, binding: { kind: 'memory', name: 'd0' } });
    expect(boundWith(3)).toMatchObject({ binding: { kind: 'flush' } });
  });

  test('counts no exchange for devices of which each may handle another task alone', () => {
    const frozen = task([layer({ weightFlops: 0, inputFlops: 0, gradientBytes: 0, outputBytes: 1 })], 2);
    const trained = task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 1, outputBytes: 1 })], 1);
    const on = cluster([device('d0'), device('d1', { flopsPerSecond: 3 }), device('d2')], {
      bytesPerSecond: 0.5,
      medium: 'air',
    });
    const asked = interval(openCostModel([frozen, { ...trained, name: 'u' }], on));
    const stages = [
      {
        start: 0,
        end: 1,
        members: [
          { device: 'd1', share: 0.5 },
          { device: 'd0', share: 0.5 },
        ],
      },
    ];
    const { value } = assessPlacement(asked, { tasks: ['t', 'u'], microbatches: 1, stages })!;
    expect(lowerBound(asked).value).toBeLessThanOrEqual(value);
  });

  test('is the work over all speeds for one layer that devices share, and names what binds', () => {
    const one = interval(openCostModel([task([layer({ inputFlops: 0, weightFlops: 2 })], 4)], cluster(2)));
    expect(lowerBound(one)).toEqual({ stepSeconds: 6, binding: 'work', value: 6 });
    expect(exactSearch(one).best!.value).toBe(6);
    // A sample cannot be divided among devices that keep layers whole; the bound does not count that.
    const single = interval(
      openCostModel([task([layer({ inputFlops: 0, weightFlops: 2 })], 1)], cluster(2)),
      {
        steps: 5,
      },
    );
    expect(lowerBound(single)).toEqual({ stepSeconds: 1.5, binding: 'work', value: 7.5 });
    // Gradients of 14 bytes, twice over in half precision, take longer than the other device saves.
    const slow = interval(
      openCostModel(
        [task([layer({ inputFlops: 0, weightFlops: 2, gradientBytes: 14 })], 4)],
        cluster(2, { medium: 'air', bytesPerSecond: 1 }),
      ),
    );
    expect(lowerBound(slow)).toEqual({ stepSeconds: 12, binding: 'network', value: 12 });
    expect(exactSearch(slow).best!.value).toBe(12);
  });

  test('counts launches, one device’s own time, and the one boundary that two devices cannot do without', () => {
    // Two devices launch each layer of theirs once, whatever their part of the samples.
    const launched = ['d0', 'd1'].map((id) => device(id, { overheadSeconds: 1 }));
    const both = interval(openCostModel([task([layer({ inputFlops: 0 })], 4)], cluster(launched)));
    expect(lowerBound(both)).toEqual({ stepSeconds: 2.5, binding: 'work', value: 2.5 });
    // 8 seconds alone, 4 on two devices, and 4 samples of 3 bytes over the boundary, whose gradient nothing below needs.
    const layers = [
      layer({ forwardFlops: 0, inputFlops: 0, outputBytes: 3 }),
      layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 99 }),
    ];
    const boundOn = (bytesPerSecond: number) =>
      lowerBound(
        interval(openCostModel([task(layers, 4)], cluster(2, { medium: 'air', bytesPerSecond })), {}),
      );
    expect(boundOn(1)).toEqual({ stepSeconds: 8, binding: 'network', value: 8 });
    expect(boundOn(2)).toEqual({ stepSeconds: 6, binding: 'work', value: 6 });
    expect(boundOn(9)).toEqual({ stepSeconds: 4, binding: 'work', value: 4 });
    // Three members of a group exchange the gradients of 2 bytes twice: 4 seconds, as long as each computes.
    const group = task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 2 })], 6);
    const three = interval(openCostModel([group], cluster(3, { medium: 'air', bytesPerSecond: 1 })));
    expect(lowerBound(three)).toEqual({ stepSeconds: 4, binding: 'work', value: 4 });
  });

  test('counts that a task alone drains the pipeline in every step, where memory makes it one', () => {
    // Each device holds one layer of two. The upper one waits for the first forward and, at the step's end, the lower one for the last
    // gradient: together they take 2 · 2 + (1 + 1) seconds for 2 samples, and no split of the work alone would show it.
    const layers = [0, 1].map(() =>
      layer({ inputFlops: 1, weightFlops: 0, parameterBytes: 10, activationBytes: 0, gradientBytes: 1 }),
    );
    const devices = ['d0', 'd1'].map((id) => device(id, { memoryBytes: 15 }));
    const problem = interval(openCostModel([task(layers, 2)], cluster(devices)), { microbatches: [1, 2] });
    const { binding, stepSeconds } = lowerBound(problem);
    const { best } = exactSearch(problem);
    expect(binding).toBe('drain');
    expect(stepSeconds).toBeGreaterThan(4.5);
    expect(stepSeconds).toBeLessThanOrEqual(best!.stepSeconds);
  });

  test('of energy is the work on the most frugal device', () => {
    const on = cluster([device('d0', { watts: 10 }), device('d1', { watts: 3, flopsPerSecond: 0.5 })]);
    const problem = interval(openCostModel([task(equalLayers(2, 1, 2), 2)], on), {
      objective: 'energy',
      steps: 2,
    });
    expect(lowerBound(problem).value).toBe(2 * 12 * 6);
    expect(exactSearch(problem).best).toMatchObject({ value: 144, totalJoules: 144 });
  });
});

describe('shares of a group', () => {
  const problem = (speeds: readonly number[], samples: number, memoryBytes: readonly number[] = []) =>
    interval(
      openCostModel(
        [task(equalLayers(1, 1, 2), samples)],
        cluster(
          speeds.map((flopsPerSecond, i) =>
            device(`d${i}`, { flopsPerSecond, memoryBytes: memoryBytes[i] ?? 1e9 }),
          ),
        ),
      ),
    );
  const sharesOf = (asked: IntervalProblem, microbatches = 1) =>
    shareSamples(asked, { start: 0, end: 1 }, [...asked.costs.devices.keys()], microbatches)
      ?.toSorted((a, b) => asked.costs.deviceIndex(a.device) - asked.costs.deviceIndex(b.device))
      .map(({ share }) => share);

  test('are whole samples in proportion to speed', () => {
    expect(sharesOf(problem([1, 3], 8))).toEqual([0.25, 0.75]);
    expect(sharesOf(problem([1, 1, 2], 8))).toEqual([0.25, 0.25, 0.5]);
    expect(sharesOf(problem([1], 8))).toEqual([1]);
  });

  test('make the slowest member take as little time as whole samples allow', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 3 }),
        fc.integer({ min: 1, max: 12 }),
        (speeds, samples) => {
          const shares = sharesOf(problem(speeds, samples));
          const slowest = (counts: readonly number[]) =>
            Math.max(...counts.map((count, i) => count / speeds[i]!));
          const best = (left: number, at: number): number =>
            at === speeds.length - 1
              ? left / speeds[at]!
              : Math.min(
                  ...Array.from({ length: left + 1 }, (_, n) =>
                    Math.max(n / speeds[at]!, best(left - n, at + 1)),
                  ),
                );
          if (!shares) return;
          expect(slowest(shares.map((share) => share * samples))).toBeCloseTo(best(samples, 0), 9);
        },
      ),
    );
  });

  test('leave no member without a sample, and go as far as each one’s memory reaches', () => {
    expect(sharesOf(problem([1, 1], 1))).toBeUndefined();
    expect(sharesOf(problem([1, 100], 4))).toBeUndefined();
    // Parameters take a byte and so does a sample: d1 has room for two.
    expect(sharesOf(problem([1, 3], 8, [100, 3]))).toEqual([0.75, 0.25]);
    expect(sharesOf(problem([1, 3], 8, [100, 1]))).toBeUndefined();
  });
});
