import { describe, expect, test } from '@jest/globals';
import {
  type Assessment,
  assessPlacement,
  buildSchedule,
  type CollectiveInstruction,
  type LayerCost,
  memoryOf,
  openCostModel,
  type IntervalProblem,
  validateSchedule,
} from '@contextlora/scheduler';
import {
  asteroid,
  deepSpeedPipelineByHand,
  deepSpeedPipelineParameters,
  deepSpeedPipelineUniform,
  gpipePipeline,
  jora,
  memoryWeighted,
  mLora,
  pac,
  peers,
  singleDevice,
  type Strategy,
  type StrategyCandidate,
  tuneStrategy,
  zero1,
  zero3,
} from '@contextlora/scheduler/peers';
import fc from 'fast-check';
import {
  arbitraryCluster,
  arbitraryTask,
  cluster,
  device,
  equalLayers,
  layer,
  interval,
  task,
} from './problems.js';

const sweeps = 60;

/** Eight layers; the lowest `frozen` train nothing. */
const layersOf = (frozen: number, count = 8): LayerCost[] =>
  Array.from({ length: count }, (_, i) =>
    layer({
      inputFlops: i > frozen ? 1 : 0,
      weightFlops: i >= frozen ? 0.5 : 0,
      parameterBytes: 100,
      gradientBytes: i >= frozen ? 4 : 0,
      optimizerBytes: i >= frozen ? 12 : 0,
      activationBytes: 10,
      outputBytes: 3,
    }),
  );
const problemOf = (
  layers: readonly LayerCost[],
  samples: number,
  devices = 4,
  more: Partial<IntervalProblem> = {},
) => interval(openCostModel([task(layers, samples)], cluster(devices, { bytesPerSecond: 100 })), more);
type Candidate = StrategyCandidate & { readonly passes: NonNullable<Strategy['passes']> };
const scheduleOf = ({ costs, window }: IntervalProblem, { placement, policies, passes }: Candidate) =>
  buildSchedule(costs, [placement], { policy: policies[0]!, window, passes });
/** With what the strategy sends beyond activations and gradients. */
const candidates = (strategy: Strategy, problem: IntervalProblem): Candidate[] =>
  [...strategy.candidates(problem)].map((one) => ({ ...one, passes: strategy.passes ?? [] }));
const collectivesOf = (problem: IntervalProblem, candidate: Candidate) =>
  scheduleOf(problem, candidate).programs.map(({ instructions }) =>
    instructions.filter((one): one is CollectiveInstruction => one.type === 'collective'),
  );
const withDevices = (all: readonly Candidate[], count: number) =>
  all.filter(
    ({ placement }) => placement.stages.reduce((sum, { members }) => sum + members.length, 0) === count,
  );
const cutsOf = ({ placement }: Candidate) => placement.stages.map(({ start, end }) => end - start);
/** Bytes a member sends for an exchange in a ring. */
const sentOf = ({ operation, bytes, members }: CollectiveInstruction) =>
  ((operation === 'allReduce' ? 2 : 1) * (members.length - 1) * bytes) / members.length;

describe.each([zero1])('$name', (strategy) => {
  test('moves 2 (N − 1) / N of the adapters in half precision per device and step, and nothing else', () => {
    const problem = problemOf(layersOf(0), 16, 4, { microbatches: [1, 2, 4] });
    const all = candidates(strategy, problem);
    expect(all.length).toBeGreaterThan(0);
    for (const candidate of all) {
      const count = candidate.placement.stages[0]!.members.length;
      const schedule = scheduleOf(problem, candidate);
      expect(validateSchedule(problem.costs, schedule)).toEqual([]);
      for (const collectives of collectivesOf(problem, candidate)) {
        expect(collectives.reduce((sum, one) => sum + sentOf(one), 0)).toBeCloseTo(
          (2 * (count - 1) * 8 * 2) / count,
          9,
        );
      }
      const found = assessPlacement(
        { ...problem, policies: candidate.policies },
        candidate.placement,
        candidate.passes,
      )!;
      expect(found.bytesPerStep).toBeCloseTo(2 * (count - 1) * 8 * 2, 9);
    }
  });

  test('reduces all gradients but the lowest layer’s while the last micro-batch goes backward', () => {
    const on = cluster(2, { bytesPerSecond: 100, medium: 'air' });
    const problem = interval(openCostModel([task(layersOf(2), 8)], on), { microbatches: [2] });
    const [candidate] = candidates(strategy, problem);
    const shape = scheduleOf(problem, candidate!).programs[0]!.instructions.flatMap((one) => {
      if (one.type === 'collective') return [`${one.operation} ${one.bytes}`];
      return one.type === 'load' ? [] : [one.type];
    });
    expect(shape).toEqual([
      ...['forward', 'backwardInput', 'backwardWeight', 'forward'],
      'reduceScatter 10', // five layers' gradients of 4 bytes, halved
      ...['backwardInput', 'backwardWeight'],
      ...['reduceScatter 2', 'allGather 12', 'update'],
    ]);
    // Nothing is seen of the bucket that overlaps.
    const found = assessPlacement(
      { ...problem, policies: candidate!.policies },
      candidate!.placement,
      candidate!.passes,
    )!;
    expect(found.totalSeconds).toBeCloseTo(4 * (8 + 5 + 6 / 2) + (2 + 12) / 100, 9);
  });

  test('keeps the whole base on every device, and an equal part of the optimizer', () => {
    const problem = problemOf(layersOf(2), 16);
    for (const candidate of candidates(strategy, problem)) {
      const { members } = candidate.placement.stages[0]!;
      expect(candidate.placement.stages).toHaveLength(1);
      const schedule = scheduleOf(problem, candidate);
      for (const index of schedule.programs.keys())
        expect(memoryOf(problem.costs, schedule, index)).toMatchObject({
          parameterBytes: 800,
          optimizerBytes: (6 * 12) / members.length,
          bufferBytes: 0,
        });
      for (const { share } of members) expect(share).toBeCloseTo(1 / members.length, 12);
    }
  });
});

describe('ZeRO-3', () => {
  test.each([0, 3, 7])(
    'gathers the base for each forward, and above %i frozen layers for each backward again',
    (frozen) => {
      const problem = problemOf(layersOf(frozen), 16, 4, { microbatches: [1, 2, 4] });
      for (const candidate of candidates(zero3, problem)) {
        const count = candidate.placement.stages[0]!.members.length;
        const { microbatches } = candidate.placement;
        const all = collectivesOf(problem, candidate);
        for (const collectives of all) {
          const gathers = collectives.filter(({ operation }) => operation === 'allGather');
          const reduces = collectives.filter(({ operation }) => operation === 'reduceScatter');
          expect(gathers).toHaveLength(2 * microbatches);
          expect(gathers.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(
            microbatches * (800 + 100 * (8 - frozen)),
          );
          expect(gathers.reduce((sum, one) => sum + sentOf(one), 0)).toBeCloseTo(
            (microbatches * (800 + 100 * (8 - frozen)) * (count - 1)) / count,
            9,
          );
          expect(reduces.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(2 * (8 - frozen));
          expect(gathers.length + reduces.length).toBe(collectives.length);
        }
        // Every member joins every exchange.
        const ids = all.map((collectives) => collectives.map(({ id }) => id).sort());
        for (const one of ids) expect(one).toEqual(ids[0]);
      }
    },
  );

  test('gathers once per micro-batch where nothing trains', () => {
    const problem = problemOf(layersOf(8), 8, 2, { microbatches: [2] });
    for (const collectives of candidates(zero3, problem).flatMap((one) => collectivesOf(problem, one)))
      expect(collectives.map(({ operation, bytes }) => [operation, bytes])).toEqual([
        ['allGather', 800],
        ['allGather', 800],
      ]);
  });

  test('keeps its part of the base and two gathered layers', () => {
    const problem = problemOf(layersOf(0), 16);
    for (const candidate of candidates(zero3, problem)) {
      const count = candidate.placement.stages[0]!.members.length;
      const schedule = scheduleOf(problem, candidate);
      expect(memoryOf(problem.costs, schedule, 0).parameterBytes).toBeCloseTo(800 / count + 200, 9);
      expect(memoryOf(problem.costs, schedule, 0).optimizerBytes).toBeCloseTo(96 / count, 9);
    }
  });
});

describe('JORA', () => {
  test.each([0, 3])(
    'all-reduces four times per layer and micro-batch, twice where no input gradient is owed: %i frozen',
    (frozen) => {
      const problem = problemOf(layersOf(frozen), 8, 4, { microbatches: [1, 2, 4] });
      const all = candidates(jora, problem);
      expect(all.length).toBeGreaterThan(0);
      for (const candidate of all) {
        const { microbatches, stages } = candidate.placement;
        const count = stages[0]!.members.length;
        const schedule = scheduleOf(problem, candidate);
        expect(validateSchedule(problem.costs, schedule)).toEqual([]);
        for (const collectives of collectivesOf(problem, candidate)) {
          expect(collectives.every(({ operation }) => operation === 'allReduce')).toBe(true);
          // Forward everywhere; backward above the lowest trained layer, which itself owes no input gradient.
          expect(collectives.reduce((sum, { messages }) => sum + messages, 0)).toBe(
            microbatches * (2 * 8 + 2 * (7 - frozen)),
          );
          expect(collectives.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(
            8 * 3 * (2 * 8 + 2 * (7 - frozen)),
          );
        }
        const found = assessPlacement(
          { ...problem, policies: candidate.policies },
          candidate.placement,
          candidate.passes,
        )!;
        expect(found.bytesPerStep).toBeCloseTo(2 * (count - 1) * 8 * 3 * (16 + 2 * (7 - frozen)), 6);
      }
    },
  );

  test('divides parameters, optimizer, activations and work by the devices', () => {
    const problem = problemOf(layersOf(0), 8, 4, { microbatches: [2] });
    for (const candidate of candidates(jora, problem)) {
      const count = candidate.placement.stages[0]!.members.length;
      const schedule = scheduleOf(problem, candidate);
      for (const index of schedule.programs.keys())
        expect(memoryOf(problem.costs, schedule, index)).toEqual({
          parameterBytes: expect.closeTo(800 / count, 9),
          optimizerBytes: expect.closeTo(96 / count, 9),
          bufferBytes: 0,
          activationBytes: expect.closeTo((8 * 10 * 4) / count, 9),
          totalBytes: expect.closeTo((800 + 96 + 320) / count, 9),
        });
      const found = assessPlacement(
        { ...problem, policies: candidate.policies },
        candidate.placement,
        candidate.passes,
      )!;
      for (const { busySeconds } of found.devices)
        expect(busySeconds).toBeCloseTo((8 * (8 + 7 + 4)) / count, 9);
    }
  });

  test('waits for the slowest device in every layer', () => {
    const on = cluster([device('d0'), device('d1', { flopsPerSecond: 0.25 })]);
    const problem = interval(openCostModel([task(layersOf(0), 4)], on));
    const [candidate] = candidates(jora, problem);
    const found = assessPlacement(
      { ...problem, policies: candidate!.policies },
      candidate!.placement,
      candidate!.passes,
    )!;
    expect(found.totalSeconds).toBeCloseTo((4 * 19) / 2 / 0.25, 6);
  });
});

describe('the DeepSpeed pipeline', () => {
  test('with uniform cuts has equal numbers of layers, within one', () => {
    const all = candidates(deepSpeedPipelineUniform, problemOf(layersOf(0, 7), 16, 5));
    for (const candidate of all) {
      const sizes = cutsOf(candidate);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      expect(sizes.reduce((a, b) => a + b, 0)).toBe(7);
    }
    expect(new Set(all.map(({ placement }) => placement.stages.length))).toEqual(new Set([1, 2, 3, 4, 5]));
    expect(withDevices(all, 4).some(({ placement }) => placement.stages.length === 2)).toBe(true);
  });

  test('with cuts by parameters balances the adapters, not the work', () => {
    // The lower six layers are frozen but dear; the upper two hold all adapters.
    const two = candidates(deepSpeedPipelineParameters, problemOf(layersOf(6), 16, 2)).filter(
      ({ placement }) => placement.stages.length === 2,
    );
    expect(two.length).toBeGreaterThan(0);
    for (const candidate of two) expect(cutsOf(candidate)).toEqual([7, 1]);
    // Equal adapters, very unequal work: still in the middle.
    const dear = layersOf(0).map((one, i) => ({ ...one, forwardFlops: i === 0 ? 100 : 1 }));
    for (const candidate of candidates(deepSpeedPipelineParameters, problemOf(dear, 16, 2)))
      if (candidate.placement.stages.length === 2) expect(cutsOf(candidate)).toEqual([4, 4]);
    // Which GPipe, balancing times, does not do.
    const times = candidates(gpipePipeline, problemOf(dear, 16, 2)).map((one) => cutsOf(one).join());
    expect(times).toContain('1,7');
  });

  test('makes the heaviest part as light as it can be, for any adapters', () => {
    const lightest = (weights: readonly number[], parts: number): number =>
      parts === 1
        ? weights.reduce((a, b) => a + b, 0)
        : Math.min(
            ...Array.from({ length: weights.length - parts + 1 }, (_, i) =>
              Math.max(
                weights.slice(0, i + 1).reduce((a, b) => a + b, 0),
                lightest(weights.slice(i + 1), parts - 1),
              ),
            ),
          );
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 7 }),
        fc.integer({ min: 1, max: 4 }),
        (weights, devices) => {
          const layers = weights.map((gradientBytes, i) =>
            layer({ inputFlops: i > 0 ? 1 : 0, weightFlops: 1, gradientBytes }),
          );
          for (const candidate of candidates(deepSpeedPipelineParameters, problemOf(layers, 4, devices))) {
            const parts = candidate.placement.stages.map(({ start, end }) =>
              weights.slice(start, end).reduce((a, b) => a + b, 0),
            );
            expect(Math.max(...parts)).toBe(lightest(weights, parts.length));
          }
        },
      ),
      { numRuns: sweeps },
    );
  });
});

describe('a balance by hand', () => {
  const unequal = cluster(
    [3, 1, 2].map((flopsPerSecond, i) => device(`d${i}`, { flopsPerSecond })),
    { bytesPerSecond: 10 },
  );
  test.each([deepSpeedPipelineByHand, gpipePipeline, mLora])(
    'of $name is any cut on any order of any devices',
    (strategy) => {
      const problem = interval(openCostModel([task(layersOf(0, 4), 4)], unequal), { microbatches: [2] });
      const all = candidates(strategy, problem).map(({ placement }) =>
        placement.stages
          .map(({ end, members }) => `${end}${members.map(({ device: id }) => id).join()}`)
          .join(' '),
      );
      // One stage on 3 devices; two on 6 orders with 3 cuts; three on 6 with 3.
      expect(new Set(all).size).toBe(3 + 18 + 18);
    },
  );

  test('is in a large problem no worse than any cut of every layer that was listed, improved one step at a time', () => {
    const problem = interval(
      openCostModel(
        [task(layersOf(4, 20), 8)],
        cluster(
          [3, 1, 2, 5].map((flopsPerSecond, i) => device(`d${i}`, { flopsPerSecond })),
          { bytesPerSecond: 10, medium: 'air' },
        ),
      ),
      { microbatches: [1, 2, 4, 8] },
    );
    for (const strategy of [deepSpeedPipelineByHand, gpipePipeline, mLora]) {
      const thorough = tuneStrategy(strategy, problem, { thorough: true })!.value;
      expect(thorough).toBeLessThanOrEqual(tuneStrategy(strategy, problem)!.value);
      const [policy] = candidates(strategy, problem)[0]!.policies;
      // Every balance on two devices.
      for (let first = 0; first < 4; first++)
        for (let second = 0; second < 4; second++)
          for (let cut = 1; cut < 20 && first !== second; cut++) {
            const placement = {
              tasks: ['t'],
              microbatches: 4,
              stages: [
                { start: 0, end: cut, members: [{ device: `d${first}`, share: 1 }] },
                { start: cut, end: 20, members: [{ device: `d${second}`, share: 1 }] },
              ],
            };
            const found = assessPlacement({ ...problem, policies: [policy!] }, placement)!;
            expect(found.value).toBeGreaterThanOrEqual(thorough * (1 - 1e-9));
          }
    }
  });
});

describe('a split by weight', () => {
  const on = cluster([
    device('d0', { memoryBytes: 4000, flopsPerSecond: 1 }),
    device('d1', { memoryBytes: 1000, flopsPerSecond: 5 }),
    device('d2', { memoryBytes: 3000, flopsPerSecond: 2 }),
  ]);
  const problem = interval(openCostModel([task(layersOf(0, 11), 4)], on));
  const layersOn = (strategy: Strategy) =>
    candidates(strategy, problem)
      .filter(({ placement }) => placement.stages.length === 3)
      .map(({ placement }) =>
        Object.fromEntries(
          placement.stages.map(({ start, end, members }) => [members[0]!.device, end - start]),
        ),
      );

  test('gives exo’s devices layers in proportion to memory, one at least', () => {
    for (const sizes of layersOn(memoryWeighted)) expect(sizes).toEqual({ d0: 5, d1: 2, d2: 4 });
  });

  test('by number assigns layers equally', () => {
    for (const sizes of layersOn(deepSpeedPipelineUniform))
      expect(Object.values(sizes).sort()).toEqual([3, 4, 4]);
  });

  test('tries the devices as listed, by speed and by memory', () => {
    const orders = new Set(
      candidates(deepSpeedPipelineUniform, problem)
        .filter(({ placement }) => placement.stages.length === 3)
        .map(({ placement }) => placement.stages.map(({ members }) => members[0]!.device).join()),
    );
    expect(orders).toEqual(new Set(['d0,d1,d2', 'd1,d2,d0', 'd0,d2,d1']));
  });
});

test('the single device strategy tries every device once', () => {
  const all = candidates(singleDevice, problemOf(layersOf(0), 4, 3, { microbatches: [1, 4] }));
  expect(
    all.map(({ placement }) => [placement.stages[0]!.members[0]!.device, placement.microbatches]),
  ).toEqual([
    ['d0', 1],
    ['d0', 4],
    ['d1', 1],
    ['d1', 4],
    ['d2', 1],
    ['d2', 4],
  ]);
});

test('the Asteroid-like planner groups devices in the order of their memory and keeps 2 (P − p) − 1 in flight', () => {
  const on = cluster([1000, 4000, 2000].map((memoryBytes, i) => device(`d${i}`, { memoryBytes })));
  const problem = interval(openCostModel([task(layersOf(0), 8)], on), { microbatches: [8] });
  const all = candidates(asteroid, problem);
  expect(all.length).toBeGreaterThan(0);
  const place = ['d1', 'd2', 'd0'];
  for (const { placement, policies } of all) {
    // A group is a set; the stages are in order.
    const used = placement.stages.flatMap(({ members }) =>
      members.map((member) => place.indexOf(member.device)).sort(),
    );
    expect(used).toEqual([...used].sort());
    expect(policies.map(({ name }) => name)).toEqual(['1F1B, deep']);
  }
});

describe('the planner of groups', () => {
  test.each([asteroid, pac])(
    'of $name finds the quickest slowest step, messages and all-reduce included',
    (strategy) => {
      fc.assert(
        fc.property(
          arbitraryTask('t', 4, 6),
          fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 3 }),
          fc.integer({ min: 1, max: 20 }),
          (workload, rates, bytesPerSecond) => {
            const on = cluster(
              rates.map((flopsPerSecond, i) =>
                device(`d${i}`, { flopsPerSecond, memoryBytes: 1e6 - flopsPerSecond }),
              ),
              { bytesPerSecond },
            );
            const microbatches = 2;
            if (workload.samples < 2) return;
            const costs = openCostModel([workload], on);
            const slowestStep = (
              stages: readonly { start: number; end: number; group: readonly number[] }[],
            ) => {
              let slowest = 0;
              for (const { start, end, group } of stages) {
                const some = workload.layers.slice(start, end);
                const each = ({ forwardFlops, inputFlops, weightFlops }: LayerCost) =>
                  forwardFlops + inputFlops + weightFlops;
                const rate = group.reduce((sum, one) => sum + rates[one]!, 0);
                const work = (some.reduce((sum, one) => sum + each(one), 0) * workload.samples) / rate;
                const bytes = some.reduce((sum, one) => sum + one.gradientBytes, 0);
                const reducing = (((2 * (group.length - 1)) / group.length) * bytes) / bytesPerSecond;
                slowest = Math.max(slowest, (work + reducing) / microbatches);
                if (start === 0) continue;
                const ways = start > costs.tasks[0]!.lowestTrained ? 2 : 1;
                const message = workload.layers[start - 1]!.outputBytes * workload.samples;
                slowest = Math.max(slowest, (ways * message) / bytesPerSecond / microbatches);
              }
              return slowest;
            };
            const order = [0, 1, 2].sort(
              (a, b) => (strategy === pac ? rates[b]! - rates[a]! : rates[a]! - rates[b]!) || a - b,
            );
            const best = new Map<number, number>();
            const extend = (
              stages: { start: number; end: number; group: number[] }[],
              from: number,
              start: number,
            ) => {
              if (start === 4)
                best.set(stages.length, Math.min(best.get(stages.length) ?? Infinity, slowestStep(stages)));
              else
                for (let to = from + 1; to <= 3; to++)
                  for (let end = start + 1; end <= 4; end++)
                    extend([...stages, { start, end, group: order.slice(from, to) }], to, end);
            };
            for (const from of order.keys()) extend([], from, 0);
            const problem = interval(costs, { microbatches: [microbatches] });
            const alone = costs.devices.length * problem.microbatches.length;
            for (const { placement } of candidates(strategy, problem).slice(alone)) {
              const stages = placement.stages.map(({ start, end, members }) => ({
                start,
                end,
                group: members.map(({ device: id }) => Number(id.slice(1))),
              }));
              expect(slowestStep(stages)).toBeCloseTo(best.get(stages.length)!, 9);
            }
          },
        ),
        { numRuns: sweeps },
      );
    },
  );
});

test('mLoRA alone interleaves sibling tasks', () => {
  expect(peers.filter(({ interleavesTasks }) => interleavesTasks)).toEqual([mLora]);
  expect(new Set(peers.map(({ name }) => name)).size).toBe(peers.length);
  expect(peers).toHaveLength(12);
  for (const { source } of peers) expect(source).not.toBe('');
});

describe.each(peers)('$name', (strategy) => {
  test('offers only placements that keep the rules, and its tuned result is no worse than any of them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }).chain((devices) =>
          fc.integer({ min: 1, max: 6 }).chain((layers) =>
            fc.record({
              workload: arbitraryTask('t', layers, 8),
              on: arbitraryCluster(devices, { memoryBytes: 40 * layers }),
            }),
          ),
        ),
        ({ workload, on }) => {
          const problem = interval(openCostModel([workload], on), {
            microbatches: [1, 2, 4].filter((count) => count <= workload.samples),
          });
          const tuned = tuneStrategy(strategy, problem);
          let best: Assessment | undefined;
          for (const candidate of candidates(strategy, problem)) {
            const { placement, policies, passes } = candidate;
            const found = assessPlacement({ ...problem, policies }, placement, passes);
            if (!found) continue;
            expect(validateSchedule(problem.costs, scheduleOf(problem, candidate))).toEqual([]);
            if (!best || found.value < best.value) best = found;
          }
          if (!best) expect(tuned).toBeUndefined();
          else expect(tuned!.value / best.value).toBeCloseTo(1, 9);
          // An incumbent that is as good leaves nothing to report.
          if (best)
            expect(tuneStrategy(strategy, problem, { incumbent: best.value * (1 - 1e-9) })).toBeUndefined();
        },
      ),
      { numRuns: sweeps },
    );
  });
});

test('equal stages on equal devices cost every pipeline peer the closed form', () => {
  const problem = problemOf(equalLayers(4, 1, 2), 8, 4, { microbatches: [8] });
  for (const strategy of [memoryWeighted, deepSpeedPipelineUniform, gpipePipeline]) {
    const four = candidates(strategy, problem).find(({ placement }) => placement.stages.length === 4)!;
    expect(assessPlacement({ ...problem, policies: four.policies }, four.placement)!.totalSeconds).toBe(
      (8 + 4 - 1) * 3,
    );
  }
});
