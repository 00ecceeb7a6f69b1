import { afterAll, describe, expect, test } from '@jest/globals';
import {
  buildSchedule,
  type CostModel,
  durationOf,
  gpipe,
  type Instruction,
  memoryOf,
  oneForwardOneBackward,
  openCostModel,
  periodBound,
  type Policy,
  type Schedule,
  simulateWith,
  type Timeline,
  validateSchedule,
} from '@contextlora/scheduler';
import fc from 'fast-check';
import {
  arbitraryProblem,
  chain,
  cluster,
  device,
  equalLayers,
  layer,
  open,
  policies,
  type RandomProblem,
  interval,
  task,
} from './problems.js';

const sweeps = 500; // times six policies

const build = ({ placement, steps, window, ...problem }: RandomProblem, policy: Policy) => {
  const costs = open(problem);
  return { costs, schedule: buildSchedule(costs, [placement], { policy, steps, window }) };
};

const sends = (one: Instruction) => one.type === 'sendActivation' || one.type === 'sendGradient';
const computes = (one: Instruction) => !('peer' in one) && one.type !== 'collective';

/** Bytes of every message and exchange, counted from the instructions and the workloads alone. */
function bytesOf({ workloads, placement }: RandomProblem, schedule: Schedule): number {
  let bytes = 0;
  for (const { stage, instructions } of schedule.programs) {
    const { start, end } = placement.stages[stage]!;
    for (const one of instructions) {
      const { layers } = workloads.find(({ name }) => name === one.task)!;
      if (one.type === 'sendActivation') bytes += one.samples * layers[end - 1]!.outputBytes;
      else if (one.type === 'sendGradient') bytes += one.samples * layers[start - 1]!.outputBytes;
      else if (one.type === 'collective')
        bytes += (2 * (one.members.length - 1) * one.bytes) / one.members.length;
    }
  }
  return bytes;
}

describe.each(policies)('any placement under $name', (policy) => {
  // The sweeps draw the same problems; each is scheduled and simulated once.
  const played = new Map<string, ReturnType<typeof build> & { readonly timeline: Timeline }>();
  const playOnce = (problem: RandomProblem) => {
    const key = JSON.stringify(problem);
    let known = played.get(key);
    if (!known) {
      const { costs, schedule } = build(problem, policy);
      known = { costs, schedule, timeline: simulateWith(costs, schedule, { spans: false }) };
      played.set(key, known);
    }
    return known;
  };
  afterAll(() => {
    played.clear();
  });

  test('is scheduled without a fault, and the schedule can be played through', () => {
    fc.assert(
      fc.property(arbitraryProblem(), (problem) => {
        const { costs, schedule, timeline } = playOnce(problem);
        expect(validateSchedule(costs, schedule)).toEqual([]);
        expect(timeline.unfinished).toBe(0);
        expect(timeline.makespanSeconds).toBeGreaterThan(0);
        expect(Number.isFinite(timeline.makespanSeconds)).toBe(true);
      }),
      { numRuns: sweeps },
    );
  });

  test('meets every send with a receive of as many samples, and loses none', () => {
    fc.assert(
      fc.property(arbitraryProblem(), (problem) => {
        const { schedule } = playOnce(problem);
        const open = new Map<string, number>();
        const samples = new Map<string, number>();
        for (const { device: at, stage, instructions } of schedule.programs)
          for (const one of instructions) {
            if (one.type === 'forward') {
              const key = `${stage}/${one.task}/${one.step}`;
              samples.set(key, (samples.get(key) ?? 0) + one.samples);
            }
            if (!('peer' in one)) continue;
            const [from, to] = sends(one) ? [at, one.peer] : [one.peer, at];
            const kind = one.type.endsWith('Gradient') ? 'gradient' : 'activation';
            const key = [kind, one.task, one.step, one.microbatch, from, to].join();
            open.set(key, (open.get(key) ?? 0) + (sends(one) ? one.samples : -one.samples));
          }
        for (const left of open.values()) expect(left).toBe(0);
        for (const { name, samples: all } of problem.workloads)
          for (const stage of problem.placement.stages.keys())
            for (let step = 0; step < problem.steps; step++)
              expect(samples.get(`${stage}/${name}/${step}`)).toBe(all);
      }),
      { numRuns: sweeps / 2 },
    );
  });

  test('keeps each device’s work one after the other, and counts its time and bytes as the instructions say', () => {
    fc.assert(
      fc.property(arbitraryProblem(), (problem) => {
        const { costs, schedule } = playOnce(problem);
        const timeline = simulateWith(costs, schedule);
        for (const [index, { device: id, stage, instructions }] of schedule.programs.entries()) {
          const range = problem.placement.stages[stage]!;
          const busy = instructions
            .filter(computes)
            .reduce((sum, one) => sum + durationOf(costs, one, costs.deviceIndex(id), range), 0);
          const use = timeline.devices[index]!;
          expect(use.busySeconds).toBeCloseTo(busy, 6);
          const idle = Object.values(use.idleSeconds).reduce((a, b) => a + b, 0);
          expect(use.busySeconds + idle).toBeCloseTo(timeline.makespanSeconds, 6);
          expect(use.idleFraction * timeline.makespanSeconds).toBeCloseTo(idle, 6);
          expect(use.peakMemoryBytes).toBe(memoryOf(costs, schedule, index).totalBytes);
          const own = timeline.spans
            .filter((span) => span.device === id && !/^send|collective/.test(span.type))
            .sort((a, b) => a.startSeconds - b.startSeconds);
          for (const [at, { startSeconds, endSeconds }] of own.entries()) {
            expect(endSeconds).toBeGreaterThan(startSeconds);
            if (at > 0) expect(startSeconds).toBeGreaterThanOrEqual(own[at - 1]!.endSeconds - 1e-9);
          }
        }
        const bytes = bytesOf(problem, schedule);
        expect(timeline.bytes).toBeCloseTo(bytes, 6);
        expect(timeline.links.reduce((sum, link) => sum + link.bytes, 0)).toBeCloseTo(bytes, 6);
        expect(timeline.devices.reduce((sum, { sentBytes }) => sum + sentBytes, 0)).toBeCloseTo(bytes, 6);
      }),
      { numRuns: sweeps / 4 },
    );
  });

  test('is never faster than its period bound', () => {
    fc.assert(
      fc.property(arbitraryProblem(), (problem) => {
        const { costs, timeline } = playOnce(problem);
        const { seconds } = periodBound(interval(costs), problem.placement);
        expect(timeline.makespanSeconds).toBeGreaterThanOrEqual(problem.steps * seconds * (1 - 1e-9));
      }),
      { numRuns: sweeps },
    );
  });

  test('is the same when built twice, and plain data', () => {
    fc.assert(
      fc.property(arbitraryProblem(), (problem) => {
        const first = build(problem, policy);
        const second = build(structuredClone(problem), policy);
        expect(JSON.stringify(second.schedule)).toBe(JSON.stringify(first.schedule));
        const timeline = simulateWith(first.costs, first.schedule);
        const read = JSON.parse(JSON.stringify(first.schedule)) as Schedule;
        expect(read).toEqual(first.schedule);
        expect(JSON.stringify(simulateWith(second.costs, read))).toBe(JSON.stringify(timeline));
      }),
      { numRuns: sweeps / 10 },
    );
  });
});

describe('the period bound', () => {
  const one = (costs: CostModel, placement: RandomProblem['placement'], policy: Policy) => ({
    bound: periodBound(interval(costs), placement).seconds,
    seconds: simulateWith(costs, buildSchedule(costs, [placement], { policy })).makespanSeconds,
  });

  test('does not hold a gradient back until the weight gradient is done', () => {
    // d0: F 0–2, B 4–5, W 5–6; d1: F 2–3, B 3–4, W 4–14.
    const layers = [
      layer({ inputFlops: 0, weightFlops: 1 }),
      layer({ inputFlops: 1 }),
      layer({ inputFlops: 1, weightFlops: 10 }),
    ];
    const costs = openCostModel([task(layers, 1)], cluster(2));
    const { bound, seconds } = one(costs, chain([2, 3], 1), policies[3]!);
    expect(seconds).toBe(14);
    expect(bound).toBeLessThanOrEqual(14);
    expect(bound).toBeGreaterThanOrEqual(12);
  });

  test('charges no exchange to a member without samples', () => {
    const layers = [layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 100 })];
    const costs = openCostModel([task(layers, 1)], cluster(2, { medium: 'air', bytesPerSecond: 1 }));
    const members = [
      { device: 'd0', share: 0.5 },
      { device: 'd1', share: 0.5 },
    ];
    const { bound, seconds } = one(
      costs,
      { tasks: ['t'], microbatches: 1, stages: [{ start: 0, end: 1, members }] },
      gpipe,
    );
    expect({ bound, seconds }).toEqual({ bound: 2, seconds: 2 });
  });

  test('lets a member begin with the samples of the group’s faster half', () => {
    // d0 hands its sample to the slow d2 after 1 second; d1 needs 10 for the one that the quick d3 gets.
    const layers = [layer({ inputFlops: 0, weightFlops: 1 }), layer({ forwardFlops: 10, inputFlops: 1 })];
    const devices = [
      device('d0'),
      device('d1', { flopsPerSecond: 0.1 }),
      device('d2', { flopsPerSecond: 0.1 }),
      device('d3', { flopsPerSecond: 100 }),
    ];
    const costs = openCostModel([task(layers, 2)], cluster(devices));
    const half = (...ids: string[]) => ids.map((id) => ({ device: id, share: 0.5 }));
    const stages = [
      { start: 0, end: 1, members: half('d0', 'd1') },
      { start: 1, end: 2, members: half('d2', 'd3') },
    ];
    const { bound, seconds } = one(costs, { tasks: ['t'], microbatches: 1, stages }, gpipe);
    expect(seconds).toBeCloseTo(1 + 110 + 1, 9);
    expect(bound).toBeLessThanOrEqual(seconds);
  });

  test.each([gpipe, oneForwardOneBackward])(
    'is the makespan of $name where every stage is alike',
    (policy) => {
      for (const [p, m] of [
        [1, 1],
        [2, 3],
        [4, 8],
        [5, 2],
      ] as const) {
        const layers = equalLayers(p, 1, 2).map((each, i) => ({
          ...each,
          inputFlops: i === 0 ? 0 : 2,
          weightFlops: i === 0 ? 2 : 0,
        }));
        const costs = openCostModel([task(layers, m)], cluster(p));
        const ends = Array.from({ length: p }, (_, stage) => stage + 1);
        const { bound, seconds } = one(costs, chain(ends, m), policy);
        // The gradient's way back through the lowest stage is its own work, which the flush of the last stage leaves out.
        expect(seconds).toBe((m + p - 1) * 3);
        expect(bound).toBeLessThanOrEqual(seconds);
        expect(bound).toBeGreaterThanOrEqual(seconds - 2);
      }
    },
  );
});

describe('memory', () => {
  test('is the layers, the optimizer, buffers for every boundary and the fullest moment of activations', () => {
    const layers = equalLayers(3, 1, 2).map((one) => ({
      ...one,
      parameterBytes: 100,
      optimizerBytes: 10,
      activationBytes: 1000,
      outputBytes: 7,
    }));
    const costs = openCostModel([task(layers, 8)], cluster(3));
    const schedule = buildSchedule(costs, [chain([1, 2, 3], 4)], {
      policy: oneForwardOneBackward,
      window: 2,
    });
    // Two samples a micro-batch; min(p − s, m) micro-batches in flight; 2 messages of 2 · 7 bytes per direction and boundary.
    expect([0, 1, 2].map((program) => memoryOf(costs, schedule, program))).toEqual([
      { parameterBytes: 100, optimizerBytes: 10, bufferBytes: 56, activationBytes: 6000, totalBytes: 6166 },
      { parameterBytes: 100, optimizerBytes: 10, bufferBytes: 112, activationBytes: 4000, totalBytes: 4222 },
      { parameterBytes: 100, optimizerBytes: 10, bufferBytes: 56, activationBytes: 2000, totalBytes: 2166 },
    ]);
  });

  test('has no buffers for gradients where none crosses', () => {
    const layers = [0, 0, 1].map((above, i) =>
      layer({ inputFlops: 0, weightFlops: above, outputBytes: i === 2 ? 0 : 7 }),
    );
    const costs = openCostModel([task(layers, 8)], cluster(3));
    const schedule = buildSchedule(costs, [chain([1, 2, 3], 4)], { policy: gpipe, window: 2 });
    expect([0, 1, 2].map((program) => memoryOf(costs, schedule, program).bufferBytes)).toEqual([28, 56, 28]);
  });

  test('holds one base for sibling tasks, and an optimizer for each', () => {
    const layers = equalLayers(2, 1, 2).map((one) => ({ ...one, parameterBytes: 100, optimizerBytes: 10 }));
    const costs = openCostModel([task(layers, 2, { name: 'a' }), task(layers, 2, { name: 'b' })], cluster(2));
    const schedule = buildSchedule(costs, [chain([1, 2], 2, ['a', 'b'])]);
    expect(memoryOf(costs, schedule, 0)).toMatchObject({ parameterBytes: 100, optimizerBytes: 20 });
  });

  test('limits how far list scheduling runs ahead', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 5 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 6 }),
        (p, m, extra) => {
          const layers = equalLayers(p, 1, 2).map((one) => ({ ...one, activationBytes: 10 }));
          const devices = Array.from({ length: p }, (_, i) =>
            device(`d${i}`, { memoryBytes: 1 + 10 * (1 + extra) }),
          );
          const costs = openCostModel([task(layers, m)], cluster(devices));
          const ends = Array.from({ length: p }, (_, stage) => stage + 1);
          for (const policy of policies.slice(3))
            expect(
              validateSchedule(costs, buildSchedule(costs, [chain(ends, m)], { policy, steps: 2 })),
            ).toEqual([]);
        },
      ),
    );
  });
});

describe('validateSchedule finds', () => {
  const workload = task(
    equalLayers(2, 1, 2).map((one) => ({ ...one, outputBytes: 1, activationBytes: 10 })),
    4,
  );
  const sound = (memoryBytes = 1e9) => {
    const devices = [device('d0', { memoryBytes }), device('d1', { memoryBytes })];
    const costs = openCostModel([workload], cluster(devices));
    return {
      costs,
      schedule: buildSchedule(costs, [chain([1, 2], 4)], { policy: gpipe, steps: 2, window: 4 }),
    };
  };
  const change = (
    { costs, schedule }: { costs: CostModel; schedule: Schedule },
    program: number,
    rewrite: (instructions: readonly Instruction[]) => readonly Instruction[],
  ) =>
    validateSchedule(costs, {
      ...schedule,
      programs: schedule.programs.map((one, index) =>
        index === program ? { ...one, instructions: rewrite(one.instructions) } : one,
      ),
    });
  const without = (index: number) => (all: readonly Instruction[]) => all.filter((_, at) => at !== index);
  const firstOf = (program: number, type: Instruction['type']) =>
    sound().schedule.programs[program]!.instructions.findIndex((one) => one.type === type);

  test('nothing in a sound schedule', () => {
    const { costs, schedule } = sound();
    expect(validateSchedule(costs, schedule)).toEqual([]);
  });

  test.each([
    'sendActivation',
    'receiveGradient',
    'forward',
    'backwardInput',
    'backwardWeight',
    'update',
  ] as const)('a missing %s', (type) => {
    expect(change(sound(), 0, without(firstOf(0, type)))).not.toEqual([]);
  });

  test.each(['receiveActivation', 'sendGradient'] as const)('a missing %s', (type) => {
    expect(change(sound(), 1, without(firstOf(1, type)))).not.toEqual([]);
  });

  test('any instruction that is left out, other than loading data', () => {
    for (const program of [0, 1]) {
      const { instructions } = sound().schedule.programs[program]!;
      for (const [index, { type }] of instructions.entries())
        if (type !== 'load') expect([type, change(sound(), program, without(index))]).not.toEqual([type, []]);
    }
  });

  test('an update that comes before the exchange it waits for', () => {
    const members = ['d0', 'd1'].map((id) => ({ device: id, share: 0.5 }));
    const costs = openCostModel(
      [task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 1 })], 4)],
      cluster(2),
    );
    const placement = { tasks: ['t'], microbatches: 2, stages: [{ start: 0, end: 1, members }] };
    const schedule = buildSchedule(costs, [placement]);
    expect(validateSchedule(costs, schedule)).toEqual([]);
    const faults = change({ costs, schedule }, 0, (all) => {
      const [exchange, update] = ['collective', 'update'].map((type) =>
        all.findIndex((one) => one.type === type),
      );
      return all.map((one, at) => (at === exchange ? all[update!]! : at === update ? all[exchange!]! : one));
    });
    expect(faults).toEqual(['"d0", stage 0: update of t 0 comes before its exchange']);
  });

  test('any instruction that comes twice', () => {
    for (const program of [0, 1]) {
      const { instructions } = sound().schedule.programs[program]!;
      for (const index of instructions.keys())
        expect(change(sound(), program, (all) => [...all, all[index]!])).not.toEqual([]);
    }
  });

  test('a message with a different number of samples than its receiver expects', () => {
    const index = firstOf(0, 'sendActivation');
    const faults = change(sound(), 0, (all) =>
      all.map((one, at) => (at === index ? { ...one, samples: 2 } : one)),
    );
    expect(faults.join()).toMatch(/samples/);
  });

  test('an order in which two devices wait for each other', () => {
    // d0 waits for the gradient of micro-batch 0 before it sends micro-batch 3, but d1 does all its forwards first.
    const faults = change(sound(), 0, (all) => {
      const receive = firstOf(0, 'receiveGradient');
      const last = all.findIndex((one) => one.type === 'sendActivation' && one.microbatch === 3);
      const moved = all.filter((_, at) => at !== receive);
      return [...moved.slice(0, last), all[receive]!, ...moved.slice(last)];
    });
    expect(faults.join()).toMatch(/waits for ever/);
  });

  test('a send that a full channel can never take, which the simulator cannot play either', () => {
    const { costs, schedule } = sound();
    const narrow = { ...schedule, window: 1 };
    // Of the four micro-batches one waits unread and one is on its way; d1 takes the last one first.
    const swapped: Schedule = {
      ...narrow,
      programs: narrow.programs.map((one, index) => {
        if (index === 0) return one;
        const at = (type: string, microbatch: number) =>
          one.instructions.findIndex(
            (each) =>
              each.type === type && 'microbatch' in each && each.microbatch === microbatch && each.step === 0,
          );
        const order = [3, 0, 1, 2].flatMap((microbatch) => [
          at('receiveActivation', microbatch),
          at('forward', microbatch),
        ]);
        return {
          ...one,
          instructions: [
            ...order.map((index2) => one.instructions[index2]!),
            ...one.instructions.filter((_, index2) => !order.includes(index2)),
          ],
        };
      }),
    };
    expect(validateSchedule(costs, swapped).join()).toMatch(/waits for ever/);
    expect(() => simulateWith(costs, swapped)).toThrow(/can never end/);
  });

  test('a backward pass before its forward pass', () => {
    const faults = change(sound(), 1, (all) => {
      const forward = all.findIndex((one) => one.type === 'forward' && one.microbatch === 0);
      const rest = all.filter((_, at) => at !== forward);
      const backward = rest.findIndex((one) => one.type === 'backwardInput' && one.microbatch === 0);
      return [...rest.slice(0, backward + 1), all[forward]!, ...rest.slice(backward + 1)];
    });
    expect(faults.join()).toMatch(/comes before forward/);
  });

  test('an update before the last backward, and a step that starts before the last update', () => {
    const early = change(sound(), 0, (all) => {
      const update = firstOf(0, 'update');
      return [all[update]!, ...all.filter((_, at) => at !== update)];
    });
    expect(early.join()).toMatch(/before its last backward/);
    const late = change(sound(), 0, (all) => {
      const update = firstOf(0, 'update');
      return [...all.filter((_, at) => at !== update), all[update]!];
    });
    expect(late.join()).toMatch(/before the update/);
  });

  test.each([0, 1, 2, 3])(
    'a step whose micro-batch %i starts before the update, whichever it is',
    (microbatch) => {
      // All work of step 1's micro-batch forward moves before step 0's update; nothing else changes.
      const faults = change(sound(), 0, (all) => {
        const update = firstOf(0, 'update');
        const early = all.filter(
          (one) =>
            one.step === 1 &&
            'microbatch' in one &&
            one.microbatch === microbatch &&
            /load|forward|sendActivation/.test(one.type),
        );
        const rest = all.filter((one) => !early.includes(one));
        const at = rest.indexOf(all[update]!);
        return [...rest.slice(0, at), ...early, ...rest.slice(at)];
      });
      expect(faults.join()).toMatch(/before the update/);
    },
  );

  test('memory that is exceeded, even by one byte', () => {
    const { costs, schedule } = sound();
    const needed = Math.max(memoryOf(costs, schedule, 0).totalBytes, memoryOf(costs, schedule, 1).totalBytes);
    expect(change(sound(needed), 0, (all) => all)).toEqual([]);
    expect(change(sound(needed - 1), 0, (all) => all).join()).toMatch(/needs \d+ bytes and has \d+/);
  });

  test('stages that are empty, overlap, leave a gap, or end early', () => {
    const { costs, schedule } = sound();
    const stagesOf = (...bounds: [number, number][]) =>
      validateSchedule(costs, {
        ...schedule,
        placements: [
          {
            ...schedule.placements[0]!,
            stages: bounds.map(([start, end], index) => ({
              start,
              end,
              members: [{ device: `d${index}`, share: 1 }],
            })),
          },
        ],
      }).join();
    expect(stagesOf([0, 0], [0, 2])).toMatch(/stage 0 is empty/);
    expect(stagesOf([0, 1], [0, 2])).toMatch(/starts at layer 0, expected 1/);
    expect(stagesOf([0, 1], [1, 1])).toMatch(/end at layer 1 of 2/);
  });

  test('shares that do not sum to one, and a device in two stages', () => {
    const { costs, schedule } = sound();
    const stages = schedule.placements[0]!.stages;
    const faultsOf = (members: { device: string; share: number }[]) =>
      validateSchedule(costs, {
        ...schedule,
        placements: [{ ...schedule.placements[0]!, stages: [stages[0]!, { ...stages[1]!, members }] }],
      }).join();
    expect(faultsOf([{ device: 'd1', share: 0.5 }])).toMatch(/shares of stage 1 sum to 0.5/);
    expect(
      faultsOf([
        { device: 'd1', share: 0.5 },
        { device: 'd0', share: 0.5 },
      ]),
    ).toMatch(/"d0" appears twice/);
  });

  test('nothing wrong with names that contain spaces or share a prefix', () => {
    const layers = (lowest: number) =>
      [0, 1].map((index) =>
        layer({ inputFlops: index > lowest ? 1 : 0, weightFlops: index >= lowest ? 1 : 0, outputBytes: 1 }),
      );
    // "a" trains from the second layer on, so no gradient of it crosses; "b a" from the first.
    const costs = openCostModel(
      [task(layers(1), 2, { name: 'a' }), task(layers(0), 2, { name: 'b a' })],
      cluster([device('d 0'), device('d')]),
    );
    const placement = {
      tasks: ['a', 'b a'],
      microbatches: 2,
      stages: [
        { start: 0, end: 1, members: [{ device: 'd 0', share: 1 }] },
        { start: 1, end: 2, members: [{ device: 'd', share: 1 }] },
      ],
    };
    for (const policy of policies)
      expect(validateSchedule(costs, buildSchedule(costs, [placement], { policy }))).toEqual([]);
  });

  test('every order that would keep the simulator from ending, and no other', () => {
    // Any shuffle that the validator accepts must play through; any that it calls endless must not.
    fc.assert(
      fc.property(
        arbitraryProblem({ devices: 3, layers: 3, tasks: 2, samples: 4 }),
        fc.constantFrom(...policies),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        (problem, policy, which, from, to) => {
          const { costs, schedule } = build(problem, policy);
          const program = which % schedule.programs.length;
          const changed: Schedule = {
            ...schedule,
            programs: schedule.programs.map((one, index) => {
              if (index !== program) return one;
              const rest = [...one.instructions];
              const moved = rest.splice(from % rest.length, 1);
              rest.splice(to % (rest.length + 1), 0, ...moved);
              return { ...one, instructions: rest };
            }),
          };
          const faults = validateSchedule(costs, changed);
          if (faults.length === 0) expect(() => simulateWith(costs, changed, { spans: false })).not.toThrow();
          else if (faults.every((fault) => fault.includes('waits for ever')))
            expect(() => simulateWith(costs, changed, { spans: false })).toThrow(/can never end/);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('work done before its input has been received', () => {
    const faults = change(sound(), 1, (all) => {
      const receive = firstOf(1, 'receiveActivation');
      const forward = firstOf(1, 'forward');
      return all.map((one, at) => (at === receive ? all[forward]! : at === forward ? all[receive]! : one));
    });
    expect(faults).not.toEqual([]);
  });

  test('an activation that is sent before it is computed', () => {
    const faults = change(sound(), 0, (all) => {
      const forward = firstOf(0, 'forward');
      const send = firstOf(0, 'sendActivation');
      return all.map((one, at) => (at === forward ? all[send]! : at === send ? all[forward]! : one));
    });
    expect(faults).not.toEqual([]);
  });
});
