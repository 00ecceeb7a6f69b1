import { describe, expect, test } from '@jest/globals';
import {
  buildSchedule,
  contextGear,
  gpipe,
  type Instruction,
  memoryOf,
  oneForwardOneBackward,
  openCostModel,
  simulateWith,
  validateSchedule,
  withCachedPrefix,
} from '@contextlora/scheduler';
import fc from 'fast-check';
import { arbitraryProblem, chain, cluster, layer, open, policies, task } from './problems.js';

const sweeps = 400;

/** Layers that cost a second forward, and a second of input gradient from layer `k` on: the rules of the re-cut table. */
const frozenBelow = (layers: number, k: number) =>
  Array.from({ length: layers }, (_, index) => layer({ inputFlops: index >= k ? 1 : 0 }));

describe('a frozen prefix', () => {
  test('has no backward pass in any stage below the lowest trained layer, and one in every stage at or above it', () => {
    fc.assert(
      fc.property(arbitraryProblem(), fc.constantFrom(...policies), (problem, policy) => {
        const schedule = buildSchedule(open(problem), [problem.placement], { policy, steps: 2 });
        for (const { stage, instructions } of schedule.programs) {
          const { end } = problem.placement.stages[stage]!;
          for (const { name, layers } of problem.workloads) {
            const lowest = layers.findIndex(({ inputFlops, weightFlops }) => inputFlops + weightFlops > 0);
            const counts = (type: Instruction['type']) =>
              instructions.filter((one) => one.task === name && one.type === type).length;
            const owes = lowest >= 0 && lowest < end;
            expect(counts('backwardInput')).toBe(owes ? counts('forward') : 0);
            if (!owes)
              expect(counts('backwardWeight') + counts('update') + counts('receiveGradient')).toBe(0);
          }
        }
      }),
      { numRuns: sweeps },
    );
  });

  test('lets a gradient cross a boundary only when something trains below it', () => {
    fc.assert(
      fc.property(arbitraryProblem(), fc.constantFrom(...policies), (problem, policy) => {
        const schedule = buildSchedule(open(problem), [problem.placement], { policy });
        for (const { name, layers } of problem.workloads) {
          const lowest = layers.findIndex(({ inputFlops, weightFlops }) => inputFlops + weightFlops > 0);
          for (const [stage, { start }] of problem.placement.stages.entries()) {
            if (stage === 0) continue;
            const samples = (type: Instruction['type'], at: number) =>
              schedule.programs
                .filter((program) => program.stage === at)
                .flatMap(({ instructions }) => instructions)
                .reduce(
                  (sum, one) =>
                    one.task === name && one.type === type && 'samples' in one ? sum + one.samples : sum,
                  0,
                );
            const all = problem.workloads.find((one) => one.name === name)!.samples;
            const crosses = lowest >= 0 && lowest < start;
            expect(samples('sendActivation', stage - 1)).toBe(all);
            expect(samples('receiveActivation', stage)).toBe(all);
            expect(samples('sendGradient', stage)).toBe(crosses ? all : 0);
            expect(samples('receiveGradient', stage - 1)).toBe(crosses ? all : 0);
          }
        }
      }),
      { numRuns: sweeps },
    );
  });

  test('keeps no activations, whatever its layers would keep elsewhere', () => {
    const layers = [0, 0, 1, 1].map((above) =>
      layer({ inputFlops: above, weightFlops: above, activationBytes: 100, parameterBytes: 7 }),
    );
    const costs = openCostModel([task(layers, 8)], cluster(2));
    for (const policy of policies) {
      const schedule = buildSchedule(costs, [chain([2, 4], 8)], { policy });
      expect(memoryOf(costs, schedule, 0)).toMatchObject({ activationBytes: 0, parameterBytes: 14 });
      expect(memoryOf(costs, schedule, 1).activationBytes).toBeGreaterThan(0);
    }
    // A stage that is frozen in part keeps what its trained layers need, here of all eight samples.
    const mixed = buildSchedule(costs, [chain([3, 4], 8)], { policy: gpipe });
    expect(memoryOf(costs, mixed, 0).activationBytes).toBe(8 * 100);
  });

  test('costs nothing once its outputs come from a cache, though the size of its output stays', () => {
    const workload = task(
      [
        layer({ inputFlops: 0, outputBytes: 5 }),
        layer({ inputFlops: 0, outputBytes: 6 }),
        layer({ inputFlops: 0, weightFlops: 1 }),
        layer(),
      ],
      2,
    );
    const cached = withCachedPrefix(workload);
    expect(cached.layers.map(({ forwardFlops }) => forwardFlops)).toEqual([0, 0, 1, 1]);
    expect(cached.layers.map(({ parameterBytes }) => parameterBytes)).toEqual([0, 0, 1, 1]);
    expect(cached.layers.map(({ outputBytes }) => outputBytes)).toEqual([5, 6, 0, 0]);
    expect(workload.layers[0]!.forwardFlops).toBe(1);
  });
});

describe('a frozen stage above the lowest trained one', () => {
  const layers = [
    layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 1 }),
    layer({ inputFlops: 2 }),
    layer({ inputFlops: 1, weightFlops: 1, gradientBytes: 1 }),
  ];

  test.each(policies)('passes gradients on and updates nothing in $name', (policy) => {
    const costs = openCostModel([task(layers, 3)], cluster(3));
    const schedule = buildSchedule(costs, [chain([1, 2, 3], 3)], { policy, steps: 2 });
    expect(validateSchedule(costs, schedule)).toEqual([]);
    const counts = (program: number, type: Instruction['type']) =>
      schedule.programs[program]!.instructions.filter((one) => one.type === type).length;
    expect([0, 1, 2].map((s) => counts(s, 'update'))).toEqual([2, 0, 2]);
    expect([0, 1, 2].map((s) => counts(s, 'backwardWeight'))).toEqual([6, 0, 6]);
    expect([0, 1, 2].map((s) => counts(s, 'backwardInput'))).toEqual([6, 6, 6]);
    expect([0, 1, 2].map((s) => counts(s, 'sendGradient'))).toEqual([0, 6, 6]);
    // It keeps its activations until its input gradient is computed, and none after.
    expect(memoryOf(costs, schedule, 1).activationBytes).toBeGreaterThan(0);
    expect(() => simulateWith(costs, schedule)).not.toThrow();
  });

  test.each(policies)('makes every stage do one step after the other in $name', (policy) => {
    const costs = openCostModel([task(layers, 3)], cluster(3));
    const schedule = buildSchedule(costs, [chain([1, 2, 3], 3)], { policy, steps: 3 });
    const forwardsOf = (program: number) =>
      schedule.programs[program]!.instructions.filter(({ type }) => type === 'forward').map(
        ({ step }) => step,
      );
    for (const program of [0, 1, 2]) expect(forwardsOf(program)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2]);
  });
});

describe('the re-cut table', () => {
  const cuts: number[][] = [];
  for (let a = 1; a < 10; a++)
    for (let b = a + 1; b < 11; b++) for (let c = b + 1; c < 12; c++) cuts.push([a, b, c, 12]);

  const secondsOf = (k: number, m: number, ends: readonly number[], weightFlops = 0) => {
    const layers = frozenBelow(12, k).map((one) => ({ ...one, weightFlops }));
    const costs = openCostModel([task(layers, m)], cluster(4));
    const schedule = buildSchedule(costs, [chain(ends, m)], { policy: oneForwardOneBackward, window: m });
    return simulateWith(costs, schedule, { spans: false }).makespanSeconds;
  };
  const sizes = (ends: readonly number[]) => ends.map((end, i) => end - (ends[i - 1] ?? 0)).join();

  test.each([
    [8, 0, 66, 66, ['3,3,3,3']],
    [8, 3, 63, 61, ['4,3,3,2']],
    [8, 6, 60, 53, ['5,3,2,2']],
    [8, 9, 57, 43, ['3,4,3,2', '4,3,3,2', '4,4,2,2']],
    [32, 0, 210, 210, ['3,3,3,3']],
    [32, 3, 207, 205, ['4,3,3,2']],
    [32, 6, 204, 173, ['5,3,2,2']],
    [32, 9, 201, 139, ['3,4,3,2', '4,3,3,2', '4,4,2,2']],
  ])('holds for %i micro-batches and %i frozen layers: even %i, best %i', (m, k, even, best, bestCuts) => {
    expect(cuts).toHaveLength(165);
    expect(secondsOf(k, m, [3, 6, 9, 12])).toBe(even);
    const all = cuts.map((ends) => ({ cut: sizes(ends), seconds: secondsOf(k, m, ends) }));
    expect(Math.min(...all.map(({ seconds }) => seconds))).toBe(best);
    const winners = all.filter(({ seconds }) => seconds === best).map(({ cut }) => cut);
    expect(winners).toEqual(expect.arrayContaining(bestCuts));
    if (bestCuts.length === 1) expect(winners).toEqual(bestCuts);
    else expect(winners.sort()).toEqual(bestCuts.sort());
  });

  test('takes 99 and 315 seconds at the even cut when every layer trains in full', () => {
    expect(secondsOf(0, 8, [3, 6, 9, 12], 1)).toBe(99);
    expect(secondsOf(0, 32, [3, 6, 9, 12], 1)).toBe(315);
  });
});

describe('a frozen first stage in ContextGear', () => {
  const layers = [
    layer({ inputFlops: 0, forwardFlops: 2 }),
    layer({ inputFlops: 0, weightFlops: 1 }),
    layer({ inputFlops: 0, forwardFlops: 0, outputBytes: 0 }),
  ];

  test.each([
    [2, 2], // the frozen stage is the busiest, at 2 seconds a micro-batch
    [3, 3],
    [1, 2], // the trained one is, at forward + weight gradient
  ])(
    'of %i seconds a micro-batch runs ahead, so a step takes as long as the busiest stage: %i each',
    (forward, period) => {
      const two = [layer({ inputFlops: 0, forwardFlops: forward }), layer({ inputFlops: 0, weightFlops: 1 })];
      const costs = openCostModel([task(two, 4)], cluster(2));
      const steps = 6;
      const schedule = buildSchedule(costs, [chain([1, 2], 4)], { policy: contextGear, steps });
      expect(validateSchedule(costs, schedule)).toEqual([]);
      const ends = simulateWith(costs, schedule).stepEndSeconds[0]!;
      for (let step = 1; step < steps; step++)
        expect(ends[step]! - ends[step - 1]!).toBeCloseTo(4 * period, 9);
    },
  );

  test('starts the next step while the trained stage still works on this one, and waits only for its buffers', () => {
    const costs = openCostModel(
      [
        task(
          layers.slice(0, 2).map((one, i) => (i === 0 ? { ...one, forwardFlops: 0.5 } : one)),
          4,
        ),
      ],
      cluster(2),
    );
    const run = (window: number) => {
      const schedule = buildSchedule(costs, [chain([1, 2], 4)], { policy: contextGear, steps: 2, window });
      const { spans } = simulateWith(costs, schedule);
      return spans
        .filter(({ device, type }) => device === 'd0' && type === 'forward')
        .map(({ startSeconds }) => startSeconds);
    };
    // Room for everything: one forward after the other.
    expect(run(16)).toEqual([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]);
    // The trained stage takes 2 seconds for each; two messages wait there unread, two on the way.
    const narrow = run(2);
    expect(narrow.slice(0, 4)).toEqual([0, 0.5, 1, 1.5]);
    expect(narrow[7]).toBeGreaterThan(3.5);
    expect(narrow[7]).toBeLessThan(8.5);
  });

  test('waits for no update, but the trained stage’s next step does', () => {
    const costs = openCostModel([task(layers.slice(0, 2), 4)], cluster(2));
    const schedule = buildSchedule(costs, [chain([1, 2], 4)], { policy: contextGear, steps: 3 });
    expect(schedule.programs[0]!.instructions.some(({ type }) => type === 'update')).toBe(false);
    const trained = schedule.programs[1]!.instructions;
    for (const step of [0, 1]) {
      const update = trained.findIndex((one) => one.type === 'update' && one.step === step);
      const next = trained.findIndex((one) => one.type === 'forward' && one.step === step + 1);
      expect(update).toBeGreaterThan(0);
      expect(next).toBeGreaterThan(update);
    }
  });

  test('takes the first forward and then nothing but the trained stage’s time, no more than GPipe', () => {
    const two = [layer({ inputFlops: 0, forwardFlops: 2 }), layer({ inputFlops: 0, weightFlops: 1 })];
    const costs = openCostModel([task(two, 4)], cluster(2));
    const seconds = (policy: typeof contextGear) =>
      simulateWith(costs, buildSchedule(costs, [chain([1, 2], 4)], { policy, steps: 6 })).makespanSeconds;
    expect(seconds(contextGear)).toBeLessThanOrEqual(seconds(gpipe));
    expect(seconds(contextGear)).toBe(6 * 8 + 2);
  });
});
