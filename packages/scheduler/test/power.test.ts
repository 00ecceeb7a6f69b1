import {
  type Cluster,
  clusterInModes,
  type DeviceProfile,
  frontOfCluster,
  plan,
  type Plan,
  type PowerMode,
  scheduleOf,
  SchedulerError,
  simulate,
  timeEnergyFront,
  type Workload,
} from '@contextlora/scheduler';
import { describePlan } from '@contextlora/scheduler/views';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { arbitraryTask, cluster, device, equalLayers, task } from './problems.js';

/** Four layers, ten samples a step, a hundred steps: 12 FLOPs a sample, 12,000 in all. */
const work: Workload = task(equalLayers(4, 1, 2), 10, { steps: 100 });
/** Twice as fast for four times the power. */
const modes: PowerMode[] = [
  { name: 'boost', flopsPerSecond: 200, watts: 40, idleWatts: 0 },
  { name: 'save', flopsPerSecond: 50, watts: 4, idleWatts: 0 },
];
const board = (id: string, more: Partial<DeviceProfile> = {}): DeviceProfile =>
  device(id, { flopsPerSecond: 100, watts: 10, modes, ...more });

describe('a plan for devices with power modes', () => {
  test('runs them at their fastest when only time counts', () => {
    const found = plan([work], cluster([board('a')]));
    expect(found.power!.modes).toEqual({ a: 'boost' });
    expect(found.totalSeconds).toBeCloseTo(12_000 / 200, 9);
    expect(found.totalJoules).toBeCloseTo((12_000 / 200) * 40, 6);
  });

  test('runs them at their most frugal when only energy counts', () => {
    const found = plan([work], cluster([board('a')]), { objective: 'energy' });
    expect(found.power!.modes).toEqual({ a: 'save' });
    expect(found.totalJoules).toBeCloseTo((12_000 / 50) * 4, 6);
  });

  test('keeps to the watts of a device, in a mode or as its profile says', () => {
    expect(plan([work], cluster([board('a', { wattsLimit: 10 })])).power!.modes).toEqual({});
    expect(plan([work], cluster([board('a', { wattsLimit: 9 })])).power!.modes).toEqual({ a: 'save' });
  });

  test('leaves out a device that draws too much in every mode, and says so', () => {
    const on = cluster([board('a', { wattsLimit: 3 }), board('b')]);
    const found = plan([work], on);
    expect(found.power!.leftOut).toEqual([{ device: 'a', reason: 'watts' }]);
    expect(describePlan(found, on)).toContain('a is left out: no mode is within its watts');
    expect(devicesOf(found)).toEqual(['b']);
  });

  test('refuses limits of watts that no device keeps, naming each', () => {
    expect(() =>
      plan([work], cluster([board('a', { wattsLimit: 3 }), board('b', { wattsLimit: 1 })])),
    ).toThrow(
      /devices\[0\]\.wattsLimit: is 3 W, but the device draws at least 4 W[^]*devices\[1\]\.wattsLimit: is 1 W/,
    );
  });

  test('takes as long as fits into a budget of joules, between the fastest and the most frugal', () => {
    // boost 2,400 J in 60 s, the profile 1,200 J in 120 s, save 960 J in 240 s
    for (const [joulesLimit, seconds] of [
      [2400, 60],
      [2399, 120],
      [1199, 240],
    ] as const) {
      const found = plan([work], cluster([board('a')]), { joulesLimit });
      expect(found.totalSeconds).toBeCloseTo(seconds, 6);
      expect(found.totalJoules).toBeLessThanOrEqual(joulesLimit * (1 + 1e-9));
    }
  });

  test('says how many joules the most frugal plan takes when none keeps to the budget', () => {
    expect(() => plan([work], cluster([board('a')]), { joulesLimit: 900 })).toThrow(
      /options\.joulesLimit: is 900 J, but the most frugal plan found takes 960 J/,
    );
  });

  test('does not drain a battery: the device slows down, or is left out', () => {
    const slowed = plan([work], cluster([board('a', { joulesLimit: 1000 })]));
    expect(slowed.power!.modes).toEqual({ a: 'save' });
    const without = plan([work], cluster([board('a', { joulesLimit: 1 }), board('b')]));
    expect(devicesOf(without)).toEqual(['b']);
    expect(without.power!.joulesByDevice['a'] ?? 0).toBe(0);
  });

  test('counts with the rates that a hot device sustains', () => {
    const cool = plan([work], cluster([device('a')]));
    const hot = plan([work], cluster([device('a', { sustainedShare: 0.5 })]));
    expect(hot.totalSeconds).toBeCloseTo(2 * cool.totalSeconds, 9);
    expect(hot.lowerBoundSeconds).toBeCloseTo(2 * cool.lowerBoundSeconds, 9);
  });

  test('is what the simulator says of the cluster in the chosen modes', () => {
    const on = cluster([board('a'), board('b', { wattsLimit: 20 })]);
    const found = plan([work], on);
    const { schedule, workloads } = scheduleOf(found, [work], on, { steps: 100 });
    const { makespanSeconds } = simulate(schedule, workloads, clusterInModes(on, found.power!.modes));
    expect(makespanSeconds).toBeCloseTo(found.totalSeconds, 6);
  });

  test('keeps every limit and is no worse than all devices at their fastest, on random problems', () => {
    fc.assert(
      fc.property(arbitraryTask('t', 4, 6), arbitraryBoards, (workload, devices) => {
        const on: Cluster = cluster(devices, { bytesPerSecond: 50 });
        const steps = { ...workload, steps: 10 };
        const options = { peers: [], budget: 20_000 };
        const found = attempt(() => plan([steps], on, options));
        if (!found) return;
        for (const { id, watts, wattsLimit = Infinity, joulesLimit = Infinity, modes: own = [] } of devices) {
          if (!devicesOf(found).includes(id)) continue;
          const mode = own.find(({ name }) => name === found.power?.modes[id]);
          expect(mode?.watts ?? watts).toBeLessThanOrEqual(wattsLimit);
          expect(found.power?.joulesByDevice[id] ?? 0).toBeLessThanOrEqual(joulesLimit);
        }
        expect(found.totalSeconds).toBeGreaterThanOrEqual(found.lowerBoundSeconds * (1 - 1e-9));
        if (devices.some(({ joulesLimit }) => joulesLimit !== undefined)) return;
        const fixed = attempt(() => plan([steps], plain(on), options));
        if (fixed) expect(found.totalSeconds).toBeLessThanOrEqual(fixed.totalSeconds * (1 + 1e-9));
      }),
      { numRuns: 60 },
    );
  });
});

describe('the front of time and energy', () => {
  test('goes from the fastest plan to the most frugal, each point slower and more frugal than the one before', () => {
    const on = cluster([board('a'), board('b', { flopsPerSecond: 60, watts: 3, modes: [] })]);
    const front = timeEnergyFront([work], on, { peers: [] });
    expect(front.length).toBeGreaterThan(1);
    for (const [index, { totalSeconds, totalJoules }] of front.entries()) {
      if (index === 0) continue;
      expect(totalSeconds).toBeGreaterThan(front[index - 1]!.totalSeconds);
      expect(totalJoules).toBeLessThan(front[index - 1]!.totalJoules);
    }
    expect(front[0]!.totalSeconds).toBeCloseTo(plan([work], on, { peers: [] }).totalSeconds, 9);
  });

  test('of a cluster is not above any device alone in any of its modes', () => {
    const on = cluster([board('a'), board('b', { flopsPerSecond: 60, watts: 3 })]);
    const { front, alone } = frontOfCluster([work], on);
    expect(alone.map(({ devices }) => devices)).toEqual(
      ['a', 'b'].flatMap((id) => [[id], [`${id} at boost`], [`${id} at save`]]),
    );
    for (const [index, { totalSeconds, totalJoules }] of front.entries()) {
      const next = front[index + 1];
      if (next)
        expect([next.totalSeconds > totalSeconds, next.totalJoules < totalJoules]).toEqual([true, true]);
    }
    for (const point of alone)
      expect(
        front.some(
          ({ totalSeconds, totalJoules }) =>
            totalSeconds <= point.totalSeconds * (1 + 1e-9) && totalJoules <= point.totalJoules * (1 + 1e-9),
        ),
      ).toBe(true);
  });

  test('leaves out a device that cannot do everything alone', () => {
    const small = board('a', { memoryBytes: 5, modes: [] });
    const { alone } = frontOfCluster([work], cluster([small, board('b', { modes: [] })]));
    expect(alone.map(({ devices }) => devices)).toEqual([['b']]);
  });

  test('needs to know what power the devices draw', () => {
    expect(() => timeEnergyFront([work], cluster(2))).toThrow(/no device says what power it draws/);
  });
});

describe('limits and modes that make no sense', () => {
  test('are all listed, each with its path', () => {
    const bad = {
      ...board('a'),
      wattsLimit: 0,
      joulesLimit: NaN,
      sustainedShare: 1.5,
      modes: [
        { name: 'x', flopsPerSecond: -1, watts: 5 },
        { name: 'x', flopsPerSecond: 1, watts: -5 },
      ],
    };
    const error = caught(() => plan([work], cluster([bad])));
    for (const path of [
      'devices[0].wattsLimit',
      'devices[0].joulesLimit',
      'devices[0].sustainedShare',
      'devices[0].modes[0].flopsPerSecond',
      'devices[0].modes[1].name',
      'devices[0].modes[1].watts',
    ])
      expect(error.problems.map((one) => one.path)).toContain(path);
  });

  test('are limits on a device whose power is not known', () => {
    const error = caught(() => plan([work], cluster([device('a', { wattsLimit: 5 })])));
    expect(error.message).toContain('devices[0].watts: is missing, but devices[0] has a wattsLimit');
    expect(caught(() => plan([work], cluster(1), { joulesLimit: 5 })).message).toContain(
      'devices[0].watts: is missing, but options.joulesLimit counts the energy of all devices',
    );
  });
});

const arbitraryBoards: fc.Arbitrary<DeviceProfile[]> = fc
  .array(
    fc.record({
      rate: fc.integer({ min: 1, max: 5 }),
      watts: fc.integer({ min: 1, max: 9 }),
      modes: fc.array(
        fc.record({ rate: fc.integer({ min: 1, max: 9 }), watts: fc.integer({ min: 1, max: 9 }) }),
        {
          maxLength: 2,
        },
      ),
      wattsLimit: fc.option(fc.integer({ min: 2, max: 12 }), { nil: undefined }),
      joulesLimit: fc.option(fc.integer({ min: 50, max: 5000 }), { nil: undefined, freq: 4 }),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((boards) =>
    boards.map(({ rate, watts, modes: own, wattsLimit, joulesLimit }, index) => ({
      ...device(`d${index}`, { flopsPerSecond: rate, watts }),
      modes: own.map((mode, at) => ({ name: `m${at}`, flopsPerSecond: mode.rate, watts: mode.watts })),
      ...(wattsLimit === undefined ? {} : { wattsLimit }),
      ...(joulesLimit === undefined ? {} : { joulesLimit }),
    })),
  );

/** Every device at the fastest of its settings that its watts allow, devices without one left away. */
function plain({ devices, links }: Cluster): Cluster {
  return {
    links,
    devices: devices.flatMap(({ modes: own = [], wattsLimit = Infinity, ...rest }) => {
      const best = [{ flopsPerSecond: rest.flopsPerSecond, watts: rest.watts! }, ...own]
        .filter(({ watts }) => watts! <= wattsLimit)
        .sort((a, b) => (b.flopsPerSecond as number) - (a.flopsPerSecond as number))[0];
      return best ? [{ ...rest, flopsPerSecond: best.flopsPerSecond, watts: best.watts! }] : [];
    }),
  };
}

const devicesOf = ({ jobs }: Plan): string[] => [...new Set(jobs.flatMap(({ devices }) => devices))];

function attempt(make: () => Plan): Plan | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof SchedulerError) return undefined;
    throw error;
  }
}

function caught(make: () => unknown): SchedulerError {
  try {
    make();
  } catch (error) {
    if (error instanceof SchedulerError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
