import { describe, expect, test } from '@jest/globals';
import {
  buildSchedule,
  type BuildScheduleOptions,
  type Cluster,
  type CollectiveInstruction,
  type Instruction,
  type Pass,
  contextGear,
  durationOf,
  gpipe,
  memoryOf,
  oneForwardOneBackward,
  openCostModel,
  periodBound,
  type Placement,
  type Schedule,
  simulate,
  type SimulateOptions,
  simulateWith,
  type Timeline,
  withCachedPrefix,
  type Workload,
} from '@contextlora/scheduler';
import fc from 'fast-check';
import { arbitraryProblem, chain, cluster, device, equalLayers, interval, layer, task } from './problems.js';

/** Spans of a device as `type microbatch: start–end`, in order of time. */
const storyOf = ({ spans }: Timeline, id: string, types = /./): string[] =>
  spans
    .filter((span) => span.device === id && types.test(span.type))
    .sort((a, b) => a.startSeconds - b.startSeconds || a.endSeconds - b.endSeconds)
    .map(
      ({ type, microbatch, cause, startSeconds, endSeconds }) =>
        `${type}${microbatch === undefined ? '' : ` ${microbatch}`}${cause === undefined ? '' : ` (${cause})`}: ${startSeconds}–${endSeconds}`,
    );

function play(
  workloads: readonly Workload[],
  on: Cluster,
  placement: Placement,
  { policy = gpipe, ...build }: BuildScheduleOptions = {},
  options: SimulateOptions = {},
) {
  const costs = openCostModel(workloads, on);
  const schedule = buildSchedule(costs, [placement], { policy, ...build });
  return { costs, schedule, timeline: simulateWith(costs, schedule, options) };
}

/** Two layers, the upper one trained: nothing but activations crosses. */
const oneWay = (outputBytes: number, samples: number, forward = 1) =>
  task(
    [layer({ inputFlops: 0, outputBytes, forwardFlops: forward }), layer({ inputFlops: 0, weightFlops: 1 })],
    samples,
  );

/** Two layers, both trained: gradients come back. */
const bothWays = (outputBytes: number, samples: number) =>
  task([layer({ inputFlops: 0, weightFlops: 1, outputBytes }), layer()], samples);

describe('a transfer', () => {
  test('takes its bytes over the rate, and overlaps the computing of both ends', () => {
    const { timeline } = play([oneWay(2, 2)], cluster(2, { bytesPerSecond: 1 }), chain([1, 2], 2));
    expect(storyOf(timeline, 'd0', /forward/)).toEqual(['forward 0: 0–1', 'forward 1: 1–2']);
    expect(storyOf(timeline, 'd0', /send/)).toEqual(['sendActivation 0: 1–3', 'sendActivation 1: 3–5']);
    expect(storyOf(timeline, 'd1', /forward|backward|waiting/)).toEqual([
      'waiting (activation): 0–3',
      'forward 0: 3–4',
      'waiting (activation): 4–5',
      'forward 1: 5–6',
      'backwardWeight 0: 6–7',
      'backwardWeight 1: 7–8',
    ]);
    expect(timeline.makespanSeconds).toBe(8);
    expect(timeline.bytes).toBe(4);
    expect(timeline.links).toEqual([{ from: 'd0', to: 'd1', bytes: 4 }]);
  });

  test('pays latency after its last byte, while the link already carries the next message', () => {
    const { timeline } = play(
      [oneWay(2, 2)],
      cluster(2, { bytesPerSecond: 1, latencySeconds: 10 }),
      chain([1, 2], 2),
    );
    expect(storyOf(timeline, 'd0', /send/)).toEqual(['sendActivation 0: 1–3', 'sendActivation 1: 3–5']);
    expect(storyOf(timeline, 'd1', /forward/)).toEqual(['forward 0: 13–14', 'forward 1: 15–16']);
  });

  test('is priced by durationOf, latency and loss included', () => {
    const costs = openCostModel(
      [oneWay(6, 2)],
      cluster(2, { bytesPerSecond: 2, latencySeconds: 0.5, loss: 0.25 }),
    );
    const send = {
      type: 'sendActivation',
      task: 't',
      step: 0,
      microbatch: 0,
      samples: 2,
      peer: 'd1',
    } as const;
    expect(durationOf(costs, send, 0, { start: 0, end: 1 })).toBe(12 / 1.5 + 0.5);
  });

  test.each([0, 0.25, 0.5, 0.9])('takes 1 / (1 − loss) as long when %d of the bytes are lost', (loss) => {
    const clean = play([oneWay(2, 1)], cluster(2, { bytesPerSecond: 1 }), chain([1, 2], 1)).timeline;
    const lossy = play([oneWay(2, 1)], cluster(2, { bytesPerSecond: 1, loss }), chain([1, 2], 1)).timeline;
    const [cleanSend, lossySend] = [clean, lossy].map(({ spans }) =>
      spans.find(({ type }) => type === 'sendActivation')!,
    );
    const seconds = lossySend!.endSeconds - lossySend!.startSeconds;
    expect(seconds).toBeCloseTo((cleanSend!.endSeconds - cleanSend!.startSeconds) / (1 - loss), 9);
    expect(lossy.makespanSeconds).toBeCloseTo(clean.makespanSeconds + seconds - 2, 9);
  });

  test('that an access point relays crosses twice, with a medium or without, and so does an exchange', () => {
    const run = (link: object) => {
      const on = cluster(2, { bytesPerSecond: 8, latencySeconds: 1, ...link });
      const sent = play([oneWay(3, 4)], on, chain([1, 2], 3)).timeline;
      const group = { start: 0, end: 1, members: ['d0', 'd1'].map((id) => ({ device: id, share: 0.5 })) };
      const trained = task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 8 })], 2);
      const exchanged = play([trained], on, { tasks: ['t'], microbatches: 1, stages: [group] }).timeline;
      return [sent.makespanSeconds, exchanged.makespanSeconds];
    };
    for (const air of [{}, { medium: 'air' }])
      expect(run({ ...air, relayed: true })).toEqual(run({ ...air, bytesPerSecond: 4, latencySeconds: 2 }));
    expect(run({ relayed: false })).toEqual(run({}));
    // Two seconds of computing, a byte a second each way or both on the air, and two messages' latency; all but the computing twice.
    expect(run({ relayed: true })[1]).toBe(2 + 2 * (1 + 2));
    expect(run({ relayed: true, medium: 'air' })[1]).toBe(2 + 2 * (2 + 2));
  });

  test('takes the link that names both devices before one that names one, and that before one for any', () => {
    const links = [
      { from: '*', to: '*', bytesPerSecond: 1 },
      { from: 'd1', to: '*', bytesPerSecond: 2 },
      { from: 'd1', to: 'd0', bytesPerSecond: 4 },
      { from: 'd2', to: 'd0', bytesPerSecond: 8 },
      { from: 'd0', to: 'd2', bytesPerSecond: 16 },
    ];
    const costs = openCostModel([oneWay(16, 1)], cluster(4, ...links));
    const seconds = (from: number, peer: string) =>
      durationOf(
        costs,
        { type: 'sendActivation', task: 't', step: 0, microbatch: 0, samples: 1, peer },
        from,
        { start: 0, end: 1 },
      );
    expect(seconds(0, 'd1')).toBe(4); // the other direction's link
    expect(seconds(1, 'd0')).toBe(4);
    expect(seconds(1, 'd2')).toBe(8);
    expect(seconds(2, 'd1')).toBe(8);
    expect(seconds(2, 'd0')).toBe(2);
    expect(seconds(0, 'd2')).toBe(1);
    expect(seconds(0, 'd3')).toBe(16);
  });

  test('between devices that no link joins is an error that names them', () => {
    expect(() => play([oneWay(1, 1)], cluster(3, { from: 'd0', to: 'd2' }), chain([1, 2], 1))).toThrow(
      /no link leads from "d0" to "d1"/,
    );
  });

  test('on a separate link hinders neither one in the other direction nor one between other devices', () => {
    // Activation 1 and gradient 0 are under way at the same time.
    const run = (medium?: string) =>
      play(
        [bothWays(4, 2)],
        cluster(2, { bytesPerSecond: 1, ...(medium === undefined ? {} : { medium }) }),
        chain([1, 2], 2),
        { policy: oneForwardOneBackward, window: 1 },
      ).timeline;
    expect(storyOf(run(), 'd0', /send/)).toEqual(['sendActivation 0: 1–5', 'sendActivation 1: 5–9']);
    expect(storyOf(run(), 'd1', /send/)).toEqual(['sendGradient 0: 7–11', 'sendGradient 1: 11–15']);
    // On one medium both are at half the rate while they overlap: from 7 on, 2 bytes of the activation are left.
    expect(storyOf(run('air'), 'd0', /send/)).toEqual(['sendActivation 0: 1–5', 'sendActivation 1: 5–11']);
    expect(storyOf(run('air'), 'd1', /send/)[0]).toBe('sendGradient 0: 7–13');
  });

  test('that shares a medium with another takes twice as long, but not on a separate link', () => {
    const members = ['d0', 'd1'].map((id) => ({ device: id, share: 0.5 }));
    const placement = (second: Placement['stages'][number]['members']): Placement => ({
      tasks: ['t'],
      microbatches: 1,
      stages: [
        { start: 0, end: 1, members },
        { start: 1, end: 2, members: second },
      ],
    });
    const ends = (medium: boolean) =>
      play(
        [oneWay(3, 2)],
        cluster(4, { bytesPerSecond: 1, ...(medium ? { medium: 'air' } : {}) }),
        placement(['d2', 'd3'].map((id) => ({ device: id, share: 0.5 }))),
      )
        .timeline.spans.filter(({ type }) => type === 'sendActivation')
        .map(({ startSeconds, endSeconds }) => [startSeconds, endSeconds])
        .sort((a, b) => a[1]! - b[1]!);
    expect(ends(false)).toEqual([
      [1, 4],
      [1, 4],
    ]);
    expect(ends(true)).toEqual([
      [1, 7],
      [1, 7],
    ]);
  });

  test('of three on one medium divides the air by three, and each that ends gives its part to the others', () => {
    const devices = ['d0', 'd1', 'd2', 'd3', 'd4', 'd5'];
    const third = (ids: string[]) => ids.map((id) => ({ device: id, share: 1 / 3 }));
    const placement: Placement = {
      tasks: ['t'],
      microbatches: 1,
      stages: [
        { start: 0, end: 1, members: third(devices.slice(0, 3)) },
        { start: 1, end: 2, members: third(devices.slice(3)) },
      ],
    };
    // Forwards end at 1, 2 and 3 seconds; each message has 6 bytes.
    const on = cluster(
      devices.map((id, index) => device(id, { flopsPerSecond: index < 3 ? 1 / (index + 1) : 1 })),
      { bytesPerSecond: 1, medium: 'air' },
    );
    const { timeline } = play([oneWay(6, 3)], on, placement);
    const at = (id: string) =>
      timeline.spans.find(({ device: from, type }) => from === id && type === 'sendActivation')!;
    // From 3 on three share: 4.5, 5.5, 6 left. First ends at 3 + 13.5; then two share 1 and 1.5; then one has 0.5.
    expect(at('d0').endSeconds).toBeCloseTo(16.5, 9);
    expect(at('d1').endSeconds).toBeCloseTo(18.5, 9);
    expect(at('d2').endSeconds).toBeCloseTo(19, 9);
  });
});

describe('a channel', () => {
  test('has room for as many messages on the way and unread as its window, then the sender waits', () => {
    // d1 takes 10 seconds for each; d0 one, and the network none.
    const workload = task(
      [layer({ inputFlops: 0 }), layer({ inputFlops: 0, forwardFlops: 10, weightFlops: 1 })],
      6,
    );
    const starts = (window: number) => {
      const { timeline } = play([workload], cluster(2), chain([1, 2], 6), { window });
      return {
        starts: storyOf(timeline, 'd0', /forward/).map((text) => Number(/: (.*)–/.exec(text)![1])),
        waited: timeline.devices[0]!.idleSeconds.backpressure,
      };
    };
    expect(starts(8)).toEqual({ starts: [0, 1, 2, 3, 4, 5], waited: 0 });
    // Message 0 is read at 1, 1 waits unread, 2 on the way; 3 finds room when 1 is read at 11.
    expect(starts(1)).toEqual({ starts: [0, 1, 2, 3, 11, 21], waited: 7 + 9 + 9 });
  });

  test('never refuses a gradient', () => {
    const { timeline } = play([bothWays(1, 8)], cluster(2, { bytesPerSecond: 0.1 }), chain([1, 2], 8), {
      window: 8,
    });
    expect(timeline.devices[1]!.idleSeconds.backpressure).toBe(0);
  });
});

describe('an exchange of gradients', () => {
  const half = ['d0', 'd1'].map((id) => ({ device: id, share: 0.5 }));
  const placement: Placement = {
    tasks: ['t'],
    microbatches: 1,
    stages: [{ start: 0, end: 1, members: half }],
  };
  const workload = task([layer({ inputFlops: 0, weightFlops: 1, gradientBytes: 8 })], 2);

  test('moves 2 (g − 1) / g of the bytes per member over links of their own at once', () => {
    const { timeline } = play([workload], cluster(2, { bytesPerSecond: 1 }), placement);
    // Two seconds of computing, 8 bytes each way.
    expect(timeline.makespanSeconds).toBe(2 + 8);
    expect(timeline.bytes).toBe(16);
    expect(timeline.devices.map(({ sentBytes }) => sentBytes)).toEqual([8, 8]);
    expect(timeline.devices.map(({ idleSeconds }) => idleSeconds.collective)).toEqual([8, 8]);
  });

  test('moves the bytes of all members one after the other on a shared medium', () => {
    const { timeline } = play([workload], cluster(2, { bytesPerSecond: 1, medium: 'air' }), placement);
    expect(timeline.makespanSeconds).toBe(2 + 16);
  });

  test('pays the latency of 2 (g − 1) steps', () => {
    for (const medium of [{}, { medium: 'air' }]) {
      const { timeline } = play(
        [workload],
        cluster(2, { bytesPerSecond: 1, latencySeconds: 0.5, ...medium }),
        placement,
      );
      expect(timeline.makespanSeconds).toBe(2 + ('medium' in medium ? 16 : 8) + 1);
    }
  });

  test('is priced by durationOf for any operation and group', () => {
    const exchange = (
      operation: CollectiveInstruction['operation'],
      members: string[],
    ): CollectiveInstruction => ({
      type: 'collective',
      operation,
      id: 'x',
      members,
      task: 't',
      step: 0,
      bytes: 12,
      messages: 3,
      awaitedBy: 'next',
    });
    const seconds = (medium: boolean, one: CollectiveInstruction) =>
      durationOf(
        openCostModel(
          [workload],
          cluster(4, { bytesPerSecond: 2, latencySeconds: 1, ...(medium ? { medium: 'air' } : {}) }),
        ),
        one,
        0,
        { start: 0, end: 1 },
      );
    const four = ['d0', 'd1', 'd2', 'd3'];
    expect(seconds(false, exchange('allReduce', four))).toBe((2 * 0.75 * 12) / 2 + 6 * 3);
    expect(seconds(true, exchange('allReduce', four))).toBe((2 * 0.75 * 12 * 4) / 2 + 6 * 3);
    expect(seconds(false, exchange('allGather', four))).toBe((0.75 * 12) / 2 + 3 * 3);
    expect(seconds(false, exchange('reduceScatter', ['d0', 'd1']))).toBe((0.5 * 12) / 2 + 3);
    expect(seconds(false, exchange('allReduce', ['d0']))).toBe(0);
  });

  test('begins when the last member arrives, at the rate of the ring’s slowest link', () => {
    const on = cluster(
      [device('d0'), device('d1', { flopsPerSecond: 0.5 }), device('d2')],
      { from: 'd0', to: 'd1', bytesPerSecond: 4 },
      { bytesPerSecond: 1 },
    );
    const members = ['d0', 'd1', 'd2'].map((id) => ({ device: id, share: 1 / 3 }));
    const { timeline } = play([{ ...workload, samples: 3 }], on, {
      ...placement,
      stages: [{ start: 0, end: 1, members }],
    });
    expect(storyOf(timeline, 'd0', /collective|waiting/)).toEqual([
      'waiting (collective): 2–14.666666666666666',
      'collective: 4–14.666666666666666',
    ]);
  });

  /** Adds an exchange among all devices to each program, where `place` says; nobody waits for it. */
  const exchanging =
    (id: string, bytes: number, place: (program: readonly Instruction[]) => number = () => 0): Pass =>
    (programs, { placement: { stages } }) => {
      const members = stages.flatMap((stage) => stage.members.map((member) => member.device));
      const what = { type: 'collective', operation: 'allReduce', id, members, messages: 1 } as const;
      return programs.map((stage) =>
        stage.map((program) => {
          const at = place(program);
          const exchange = { ...what, task: 't', step: 0, bytes, awaitedBy: 'end' } as const;
          return [...program.slice(0, at), exchange, ...program.slice(at)];
        }),
      );
    };
  const small = { ...workload, samples: 1, layers: [layer({ inputFlops: 0, outputBytes: 4 }), layer()] };

  test('waits for another over the same links, and divides a medium’s air with it', () => {
    const run = (air: object) =>
      play([small], cluster(2, { bytesPerSecond: 1, ...air }), chain([1, 2], 1, ['t']), {
        passes: [exchanging('x', 100), exchanging('y', 8)],
      }).timeline;
    expect(storyOf(run({}), 'd0', /collective/)).toEqual(['collective: 0–8', 'collective: 0–108']);
    // Both cross the air twice, and 4 bytes of the activation with them from 1 on.
    expect(storyOf(run({ medium: 'air' }), 'd0', /collective/)[1]).toBe('collective: 0–220');
  });

  test('delays the messages that come after it, and waits for those before it or at the same time', () => {
    const run = (place?: (program: readonly Instruction[]) => number) =>
      play([small], cluster(2, { bytesPerSecond: 1 }), chain([1, 2], 1, ['t']), {
        passes: [exchanging('x', 8, place)],
      }).timeline;
    expect(storyOf(run(), 'd0', /send|collective/)).toEqual(['collective: 0–8', 'sendActivation 0: 8–12']);
    const sent = (program: readonly Instruction[]) =>
      1 + program.findIndex(({ type }) => type === 'sendActivation');
    expect(storyOf(run(sent), 'd0', /send|collective/)).toEqual([
      'sendActivation 0: 1–5',
      'collective: 1–13',
    ]);
  });

  test('that begins when a message is sent comes after it, whichever device is listed first', () => {
    // d1 passes on at once what d0 sends it after a second; then d2 joins, which computes for a second too.
    const layers = [layer({ inputFlops: 0 }), layer({ forwardFlops: 0, outputBytes: 4 }), layer()];
    const costs = openCostModel([{ ...small, layers }], cluster(3, { bytesPerSecond: 1 }));
    const busy: Pass = (programs) => {
      const pass = { type: 'forward', task: 't', step: 0, microbatch: 0, samples: 1 } as const;
      return programs.map((stage, at) => (at === 2 ? stage.map((program) => [pass, ...program]) : stage));
    };
    const schedule = buildSchedule(costs, [chain([1, 2, 3], 1, ['t'])], {
      passes: [exchanging('x', 6), busy],
    });
    for (const programs of [schedule.programs, [...schedule.programs].reverse()])
      expect(
        storyOf(simulateWith(costs, { ...schedule, programs }), 'd1', /sendActivation|collective/),
      ).toEqual(['sendActivation 0: 1–5', 'collective: 1–13']);
  });

  test('occupies each link and each medium of a mixed ring', () => {
    const on = cluster(
      3,
      { from: 'd0', to: 'd1', bytesPerSecond: 2 },
      { from: 'd1', to: 'd2', bytesPerSecond: 4, medium: 'wire' },
      { bytesPerSecond: 1, medium: 'air' },
    );
    const exchange = { type: 'collective', operation: 'allReduce', bytes: 12, messages: 1 } as const;
    const costs = openCostModel([small], on);
    const whole = { ...exchange, id: 'x', members: ['d0', 'd1', 'd2'], task: 't', step: 0 };
    // 16 bytes on every hop, and the air is the slowest.
    expect(durationOf(costs, { ...whole, awaitedBy: 'end' }, 0, { start: 0, end: 1 })).toBe(16);
    // The activation waits for the link although it is faster than the ring, shares the wire with 16 bytes, and has the air to itself
    // once the exchange has gone.
    const ends = (order: readonly string[]) => {
      const drawn = chain([1, 2, 3], 1, ['t']);
      const stages = drawn.stages.map((stage, at) => ({
        ...stage,
        members: [{ device: order[at]!, share: 1 }],
      }));
      const layers = [
        layer({ inputFlops: 0, outputBytes: 4 }),
        layer({ inputFlops: 0 }),
        layer({ inputFlops: 0 }),
      ];
      return storyOf(
        play([{ ...small, layers }], on, { ...drawn, stages }, { passes: [exchanging('x', 12)] }).timeline,
        order[0]!,
        /send/,
      );
    };
    expect(ends(['d0', 'd1', 'd2'])).toEqual(['sendActivation 0: 16–18']);
    expect(ends(['d1', 'd2', 'd0'])).toEqual(['sendActivation 0: 1–3']);
    expect(ends(['d2', 'd0', 'd1'])).toEqual(['sendActivation 0: 1–9']);
  });

  test('never moves more over a link, or a medium’s air, than it carries in the time', () => {
    fc.assert(
      fc.property(
        arbitraryProblem(),
        fc.integer({ min: 0, max: 40 }),
        ({ workloads, cluster: on, placement: drawn, steps, window }, bytes) => {
          const costs = openCostModel(workloads, on);
          const passes = [exchanging('x', bytes), exchanging('y', 3, (program) => program.length >> 1)];
          const schedule = buildSchedule(costs, [drawn], { steps, window, passes: passes.map(renamed) });
          const { links, makespanSeconds } = simulateWith(costs, schedule, { spans: false });
          const air = costs.routes.media.map(() => 0);
          for (const link of links) {
            const route = costs.routes.route(costs.deviceIndex(link.from), costs.deviceIndex(link.to))!;
            const seconds = link.bytes / route.bytesPerSecond;
            if (route.medium >= 0) air[route.medium]! += seconds;
            else expect(seconds).toBeLessThanOrEqual(makespanSeconds * (1 + 1e-9));
          }
          for (const seconds of air) expect(seconds).toBeLessThanOrEqual(makespanSeconds * (1 + 1e-9));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('takes the same time in whatever order devices and programs are listed, and whatever they are called', () => {
    fc.assert(
      fc.property(arbitraryProblem(), fc.integer({ min: 0, max: 40 }), (problem, bytes) => {
        const { workloads, cluster: on, placement: drawn, steps, window } = problem;
        const passes = [renamed(exchanging('x', bytes))];
        const schedule = buildSchedule(openCostModel(workloads, on), [drawn], { steps, window, passes });
        const rename = <T>(value: T): T =>
          JSON.parse(
            JSON.stringify(value).replaceAll(/"d(\d)"/g, (_, digit) => `"e${9 - Number(digit)}"`),
          ) as T;
        const other = rename({ ...schedule, programs: [...schedule.programs].reverse() });
        const cluster2 = rename({ ...on, devices: [...on.devices].reverse() });
        const { makespanSeconds, stepEndSeconds, bytes: sent } = simulate(schedule, workloads, on);
        const again = simulate(other, workloads, cluster2);
        expect(again.makespanSeconds).toBe(makespanSeconds);
        expect(again.stepEndSeconds).toEqual(stepEndSeconds);
        expect(again.bytes).toBeCloseTo(sent, 6);
      }),
      { numRuns: 300 },
    );
  });

  test('is hidden behind a sibling’s work', () => {
    const two = ['a', 'b'].map((name) => ({ ...workload, name }));
    const { timeline } = play(
      two,
      cluster(2, { bytesPerSecond: 8 }),
      { ...placement, tasks: ['a', 'b'] },
      { steps: 2 },
    );
    // 2 seconds of each task in turn; a second of exchange after each, of which only the last one shows.
    expect(timeline.makespanSeconds).toBe(8 + 1);
  });
});

/** A pass for problems whose first task is called t0. */
const renamed =
  (pass: Pass): Pass =>
  (programs, context) =>
    pass(programs, context).map((stage) =>
      stage.map((program) => program.map((one) => (one.task === 't' ? { ...one, task: 't0' } : one))),
    );

describe('the seed', () => {
  const run = (options: SimulateOptions) =>
    play([bothWays(3, 4)], cluster(2, { bytesPerSecond: 2, medium: 'air' }), chain([1, 2], 4), {}, options)
      .timeline;

  test('makes jitter reproducible, and another seed another run', () => {
    const first = run({ jitter: 0.3, seed: 7 });
    expect(run({ jitter: 0.3, seed: 7 })).toEqual(first);
    expect(run({ jitter: 0.3, seed: 8 }).makespanSeconds).not.toBe(first.makespanSeconds);
    expect(run({ jitter: 0.3 }).makespanSeconds).not.toBe(run({}).makespanSeconds);
  });

  test('changes nothing without jitter', () => {
    expect(run({ seed: 7 })).toEqual(run({ seed: 8 }));
  });

  test('keeps every compute span within the jitter’s bounds', () => {
    for (let seed = 0; seed < 50; seed++)
      for (const { type, startSeconds, endSeconds } of run({ jitter: 0.25, seed }).spans)
        if (type === 'forward') {
          expect(endSeconds - startSeconds).toBeGreaterThanOrEqual(0.75 - 1e-9);
          expect(endSeconds - startSeconds).toBeLessThanOrEqual(1.25 + 1e-9);
        }
  });

  test('draws factors whose mean is one', () => {
    let sum = 0;
    const seeds = 400;
    for (let seed = 0; seed < seeds; seed++) sum += run({ jitter: 0.5, seed }).devices[0]!.busySeconds;
    expect(sum / seeds).toBeGreaterThan(8 * 0.97);
    expect(sum / seeds).toBeLessThan(8 * 1.03);
  });
});

describe('a lost device', () => {
  const run = (atSeconds: number, lost = 'd1') =>
    play(
      [bothWays(1, 4)],
      cluster(2, { bytesPerSecond: 1 }),
      chain([1, 2], 4),
      {},
      { losses: [{ device: lost, atSeconds }] },
    ).timeline;

  test('leaves instructions unfinished, and devices that wait for it keep waiting', () => {
    const whole = play([bothWays(1, 4)], cluster(2, { bytesPerSecond: 1 }), chain([1, 2], 4)).timeline;
    const broken = run(3.5);
    expect(whole.unfinished).toBe(0);
    expect(broken.unfinished).toBeGreaterThan(0);
    expect(broken.makespanSeconds).toBeLessThan(whole.makespanSeconds);
    // It had begun something at 3 s that it never finished.
    expect(broken.devices[1]!.idleSeconds.lost).toBeCloseTo(broken.makespanSeconds - 3, 9);
    expect(broken.devices[0]!.idleSeconds.lost).toBe(0);
    expect(
      broken.spans.every(
        ({ device: id, type, endSeconds }) => id !== 'd1' || type.includes('send') || endSeconds <= 3.5,
      ),
    ).toBe(true);
  });

  test('never begins what it cannot finish', () => {
    // d1 computes its first forward from 2 to 3.
    expect(storyOf(run(2.5), 'd1', /forward/)).toEqual([]);
    expect(storyOf(run(3), 'd1', /forward/)).toEqual(['forward 0: 2–3']);
  });

  test('changes nothing when the schedule ends before it is lost', () => {
    const whole = play([bothWays(1, 4)], cluster(2, { bytesPerSecond: 1 }), chain([1, 2], 4)).timeline;
    expect(run(whole.makespanSeconds + 1)).toEqual(whole);
  });

  test.each([0, 0.5, 1, 2.5, 4.25, 7])(
    'at %d seconds leaves every second of every device accounted for',
    (atSeconds) => {
      for (const lost of ['d0', 'd1']) {
        const { devices, makespanSeconds } = run(atSeconds, lost);
        for (const { busySeconds, idleSeconds } of devices)
          expect(busySeconds + Object.values(idleSeconds).reduce((a, b) => a + b, 0)).toBeCloseTo(
            makespanSeconds,
            9,
          );
      }
    },
  );
});

describe('energy', () => {
  const powered = (...watts: ({ watts?: number; idleWatts?: number } | undefined)[]) =>
    cluster(watts.map((power, index) => device(`d${index}`, power ?? {})));

  test('is power times busy time and idle power times the rest', () => {
    const { timeline } = play(
      [bothWays(0, 2)],
      powered({ watts: 10, idleWatts: 2 }, { watts: 5 }),
      chain([1, 2], 2),
    );
    // Each: two forwards and two backwards of a second. Makespan 2 + 1 + 1 + 2 = 6.
    expect(timeline.makespanSeconds).toBe(6);
    expect(timeline.devices.map(({ busySeconds }) => busySeconds)).toEqual([4, 4]);
    expect(timeline.devices.map(({ joules }) => joules)).toEqual([10 * 4 + 2 * 2, 5 * 4]);
    expect(timeline.joules).toBe(64);
  });

  test('is absent where no device’s power is known, and counts only the known ones', () => {
    expect(
      play([bothWays(0, 2)], powered(undefined, undefined), chain([1, 2], 2)).timeline,
    ).not.toHaveProperty('joules');
    const { timeline } = play([bothWays(0, 2)], powered(undefined, { watts: 5 }), chain([1, 2], 2));
    expect(timeline.joules).toBe(20);
    expect(timeline.devices[0]).not.toHaveProperty('joules');
  });
});

describe('the activation cache', () => {
  test('is written and read at the rate of the storage, on the stage of the lowest trained layer', () => {
    const on = cluster([
      device('d0', { storageBytesPerSecond: 1 }),
      device('d1', { storageBytesPerSecond: 4 }),
    ]);
    for (const [mode, type] of [
      ['write', 'cacheWrite'],
      ['read', 'cacheRead'],
    ] as const) {
      const { timeline, schedule } = play([oneWay(8, 2)], on, chain([1, 2], 2), { cache: { t: mode } });
      expect(schedule.programs[0]!.instructions.some((one) => one.type === type)).toBe(false);
      expect(storyOf(timeline, 'd1', /cache/).map((text) => text.split(':')[0])).toEqual([
        `${type} 0`,
        `${type} 1`,
      ]);
      for (const { startSeconds, endSeconds } of timeline.spans.filter((span) => span.type === type))
        expect(endSeconds - startSeconds).toBeCloseTo(2, 9);
    }
  });

  test('costs nothing where the storage’s rate is not given, and is left alone for other tasks', () => {
    const { timeline } = play([oneWay(8, 2)], cluster(2), chain([1, 2], 2), { cache: { t: 'write' } });
    expect(timeline.makespanSeconds).toBe(
      play([oneWay(8, 2)], cluster(2), chain([1, 2], 2)).timeline.makespanSeconds,
    );
    const other = play([oneWay(8, 2)], cluster(2), chain([1, 2], 2), { cache: { other: 'write' } });
    expect(other.schedule.programs[1]!.instructions.some(({ type }) => type === 'cacheWrite')).toBe(false);
  });

  test('leaves out tasks whose names are properties of every object', () => {
    const workloads = ['toString', 'b'].map((name) => ({ ...oneWay(8, 2), name }));
    const { schedule } = play(
      workloads,
      cluster(2),
      { ...chain([1, 2], 2), tasks: ['toString', 'b'] },
      { cache: { b: 'write' } },
    );
    const cached = schedule.programs[1]!.instructions.filter(
      ({ type }) => type === 'cacheWrite' || type === 'cacheRead',
    );
    expect(cached.map((one) => one.task)).toEqual(['b', 'b']);
  });
});

describe('computing', () => {
  test('takes each kind of work at its own rate, and overhead once per layer of a pass', () => {
    const on = cluster([
      device('d0', { flopsPerSecond: { forward: 2, input: 4, weight: 8 }, overheadSeconds: 0.25 }),
    ]);
    const workload = task(
      [layer({ inputFlops: 0, weightFlops: 8, forwardFlops: 4 }), layer({ inputFlops: 8, forwardFlops: 0 })],
      1,
    );
    const { timeline } = play([workload], on, chain([2], 1));
    expect(storyOf(timeline, 'd0')).toEqual([
      'forward 0: 0–2.25',
      'backwardInput 0: 2.25–4.75',
      'backwardWeight 0: 4.75–5.75',
      'update: 5.75–6',
    ]);
  });

  test('launches no layer that comes from a cache, and on backward none below the lowest trained one', () => {
    const layers = [
      layer({ inputFlops: 0 }),
      layer({ inputFlops: 0 }),
      layer({ inputFlops: 0, weightFlops: 1 }),
      layer(),
    ];
    const on = cluster([device('d0', { overheadSeconds: 10 })]);
    const secondsOf = (workload: Workload) => play([workload], on, chain([4], 2)).timeline.makespanSeconds;
    // Two passes of 4 and 2 layers and an update; forward 4, input 1 and weight 1 FLOPs a sample.
    expect(secondsOf(task(layers, 2))).toBe(2 * (4 + 2) * 10 + 10 + 2 * 6);
    expect(secondsOf(withCachedPrefix(task(layers, 2)))).toBe(2 * (2 + 2) * 10 + 10 + 2 * 4);
  });

  test('is bounded from below with rates by samples, too', () => {
    const rate = fc
      .array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 })
      .map((rates) => rates.map((flopsPerSecond, at) => ({ samples: 2 * at + 1, flopsPerSecond })));
    fc.assert(
      fc.property(arbitraryProblem(), rate, rate, ({ workloads, cluster: on, placement, window }, a, b) => {
        const devices = on.devices.map((one, at) => ({
          ...one,
          flopsPerSecond: at % 2 === 0 ? a : { forward: a, input: b, weight: 2 },
        }));
        const costs = openCostModel(workloads, { ...on, devices });
        const schedule = buildSchedule(costs, [placement], { window });
        const { makespanSeconds } = simulateWith(costs, schedule, { spans: false });
        expect(periodBound(interval(costs), placement).seconds).toBeLessThanOrEqual(
          makespanSeconds * (1 + 1e-9),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('of a schedule that names what the problem has not is an error', () => {
    const { costs, schedule } = play([bothWays(1, 1)], cluster(2), chain([1, 2], 1));
    const renamed = JSON.parse(JSON.stringify(schedule).replaceAll('"d1"', '"d9"')) as Schedule;
    expect(() => simulateWith(costs, renamed)).toThrow(/no device "d9"/);
    const other = JSON.parse(JSON.stringify(schedule).replaceAll('"t"', '"u"')) as Schedule;
    expect(() => simulateWith(costs, other)).toThrow(/no workload "u"/);
  });

  test('of another cluster’s schedule, or with options that make no sense, is refused in one error', () => {
    const { schedule } = play([bothWays(1, 1)], cluster(2), chain([1, 2], 1));
    const run = (on: Cluster, options: object) => () => simulate(schedule, [bothWays(1, 1)], on, options);
    expect(run(cluster([device('z')]), {})).toThrow(
      /simulate: 2 problems\n.*programs\[0\]\.device: names "d0", which is no device of the cluster \(z\)\n/,
    );
    expect(run(cluster(2), { jitters: 1, jitter: NaN, losses: [{ device: 'd7', atSeconds: -1 }] })).toThrow(
      /4 problems[^]*options\.jitter: [^]*losses\[0\]\.device: [^]*atSeconds: [^]*jitters: .*did you mean "jitter"/,
    );
    expect(run(cluster(2), { jitter: 0.5, seed: -3, spans: undefined, losses: [] })).not.toThrow();
  });

  test('takes its rate from the number of samples computed at once', () => {
    const points = [
      { samples: 2, flopsPerSecond: 1 },
      { samples: 6, flopsPerSecond: 3 },
    ];
    const on = cluster([device('d0', { flopsPerSecond: { forward: points, input: 2, weight: points } })]);
    const secondsOf = (samples: number) =>
      play([task([layer({ inputFlops: 0, weightFlops: 2 })], samples)], on, chain([1], 1)).timeline
        .makespanSeconds;
    // Forward 1 and weight gradient 2 FLOPs a sample, at 1, 1, 2, 3 and 3 FLOP/s.
    expect([1, 2, 4, 6, 9].map(secondsOf)).toEqual([3, 6, 6, 6, 9]);
  });

  test('keeps no spans when they are not requested, and reports the same otherwise', () => {
    const { costs, schedule, timeline } = play(
      [bothWays(3, 4)],
      cluster(2, { bytesPerSecond: 2 }),
      chain([1, 2], 4),
    );
    expect(simulateWith(costs, schedule, { spans: false })).toEqual({ ...timeline, spans: [] });
    expect(simulate(schedule, [bothWays(3, 4)], cluster(2, { bytesPerSecond: 2 }))).toEqual(timeline);
  });

  test('counts placements on disjoint devices side by side', () => {
    const workloads = ['a', 'b'].map((name) => task(equalLayers(1, 1, 2), 2, { name }));
    const costs = openCostModel(workloads, cluster([device('d0'), device('d1', { flopsPerSecond: 0.5 })]));
    const alone = (name: string, id: string): Placement => ({
      tasks: [name],
      microbatches: 2,
      stages: [{ start: 0, end: 1, members: [{ device: id, share: 1 }] }],
    });
    const schedule = buildSchedule(costs, [alone('a', 'd0'), alone('b', 'd1')], { steps: 2 });
    const timeline = simulateWith(costs, schedule);
    expect(timeline.stepEndSeconds).toEqual([
      [6, 12],
      [12, 24],
    ]);
    expect(timeline.devices[0]!.idleSeconds.finished).toBe(12);
    expect(memoryOf(costs, schedule, 0).parameterBytes).toBe(1);
  });
});

describe('a large cluster', () => {
  test('of 1,000 devices, 100 layers and 64 micro-batches is simulated to the end', () => {
    const devices = Array.from({ length: 1000 }, (_, i) =>
      device(`d${i}`, { flopsPerSecond: 1 + (i % 7) / 10 }),
    );
    const layers = Array.from({ length: 100 }, (_, i) =>
      layer({ inputFlops: i > 0 ? 1 : 0, weightFlops: 0.1, gradientBytes: 1, outputBytes: 1e3 }),
    );
    const stages = Array.from({ length: 100 }, (_, i) => ({
      start: i,
      end: i + 1,
      members: Array.from({ length: 10 }, (_, m) => ({ device: `d${10 * i + m}`, share: 0.1 })),
    }));
    const costs = openCostModel(
      [task(layers, 640)],
      cluster(devices, { bytesPerSecond: 1e6, latencySeconds: 1e-3, medium: 'air' }),
    );
    const placement = { tasks: ['t'], microbatches: 64, stages };
    const schedule = buildSchedule(costs, [placement], { policy: contextGear });
    const timeline = simulateWith(costs, schedule, { spans: false });
    expect(timeline.unfinished).toBe(0);
    expect(timeline.devices).toHaveLength(1000);
    expect(timeline.bytes).toBeCloseTo(2 * 99 * 640 * 1e3 + 100 * 2 * 9, 3);
  });
});
