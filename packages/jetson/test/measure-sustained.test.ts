import { describe, expect, test } from '@jest/globals';
import {
  conditionsOf,
  type DeviceSample,
  fitSustainedShare,
  fitThrottling,
  hottestOf,
  measuredDevice,
  measureSustained,
  parseTegrastats,
  sampleOfTegrastats,
} from '@contextlora/jetson';

import { fakeLayer } from './fake-layer.js';

const board = { model: 'NVIDIA Jetson Orin Nano Developer Kit', soc: 'tegra234', module: 'p3767-0003' };
const sampleAt = (celsius: number, megahertz: number, milliwatts: number): DeviceSample =>
  sampleOfTegrastats(
    parseTegrastats(
      `RAM 6185/7620MB (lfb 8x2MB) SWAP 851/3810MB (cached 1MB) CPU [15%@729,off] EMC_FREQ 43%@2133 GR3D_FREQ 63%@[${megahertz}] ` +
        `PMIC@100C cpu@40C gpu@${celsius}C tj@-256C VDD_IN ${milliwatts}mW/12479mW VDD_SOC 2817mW/2817mW`,
    ),
    { atSeconds: 7, board },
  );

describe('what lasts', () => {
  test('a machine that throttles to 70 % keeps 0.7', async () => {
    const { layer, clock } = fakeLayer({ slowdown: (pass) => (pass < 60 ? 1 : 1 / 0.7) });
    const { sustainedShare, series } = await measureSustained(layer, { clock, durationSeconds: 200 });
    expect(sustainedShare).toBeCloseTo(0.7, 6);
    expect(series.length).toBeGreaterThan(60);
    expect(series.at(-1)!.atSeconds).toBeGreaterThanOrEqual(200);
    // 2 backward kinds and a forward of 256 tokens: 15e6 × 256 FLOPs in 256 × (3 + 2.5 + 1.75) ms.
    expect(series[0]!.flopsPerSecond).toBeCloseTo(15e6 / 7.25e-3, -3);
  });

  test('is told with heat, clock and power, and looking at them costs no rate', async () => {
    const { layer, clock, advance, passes } = fakeLayer();
    const { sustainedShare, series, conditions, throttling } = await measureSustained(layer, {
      clock,
      durationSeconds: 100,
      sampleEverySeconds: 10,
      sample: () => {
        advance(1);
        return Promise.resolve(sampleAt(50 + passes(), 6000 - 10 * passes(), 9000));
      },
    });
    expect(sustainedShare).toBe(1);
    expect(new Set(series.map(({ flopsPerSecond }) => flopsPerSecond.toPrecision(6))).size).toBe(1);
    expect(conditions.length).toBe(10);
    expect(conditions[0]).toEqual({
      atSeconds: 0,
      celsius: 50,
      gpuHertz: 6e9,
      coreHertz: 729e6,
      watts: 9,
    });
    expect(conditions[1]!.atSeconds).toBeGreaterThanOrEqual(10);
    expect(throttling.celsius!.last).toBeGreaterThan(throttling.celsius!.first);
    expect(throttling.gpuHertz!.last).toBeLessThan(throttling.gpuHertz!.first);
    expect(throttling.watts).toEqual({ first: 9, last: 9 });
  });

  test('a machine that gets faster keeps 1', async () => {
    const { layer, clock } = fakeLayer({ slowdown: (pass) => (pass < 20 ? 2 : 1) });
    expect((await measureSustained(layer, { clock, durationSeconds: 100 })).sustainedShare).toBe(1);
  });

  test('too short a run, and a clock that stands still, say so', async () => {
    const { layer, clock } = fakeLayer();
    await expect(measureSustained(layer, { clock, durationSeconds: 5 })).rejects.toThrow(
      'jetson/fitSustainedShare: needs 9 rounds or more, got 3',
    );
    await expect(measureSustained(layer, { clock: () => 5, durationSeconds: 1 })).rejects.toThrow(
      'took no time',
    );
    expect(fitSustainedShare([4, 4, 4, 3, 3, 3, 2, 2, 2])).toBe(0.5);
  });

  test('of what a machine does not show there is no change', () => {
    expect(fitThrottling([1, 2, 3].map((atSeconds) => ({ atSeconds, watts: atSeconds })))).toEqual({
      watts: { first: 1, last: 3 },
    });
    expect(fitThrottling([{ atSeconds: 0, watts: 1 }])).toEqual({});
  });
});

describe('a line of tegrastats', () => {
  test('is a sample like one of files, and the board comes from them', () => {
    const sample = sampleAt(53.5, 621, 12_479);
    expect(sample).toMatchObject({
      atSeconds: 7,
      board: { profile: 'orin-nano-8' },
      load: { gpuPercent: 63, cpuPercent: 15, cores: [{ core: 0, loadPercent: 15 }] },
      memory: { totalBytes: 7620 * 2 ** 20, availableBytes: 1435 * 2 ** 20 },
      power: { total: { watts: 12.479, from: 'VDD_IN' } },
      clocks: { gpuHertz: 621e6, memoryHertz: 2133e6, cores: [{ core: 0, hertz: 729e6 }] },
      missing: [],
    });
    // A sensor that is off is missing, and a power chip's constant is not the board's heat.
    expect(sample.temperatures.map(({ sensor }) => sensor)).toEqual(['PMIC', 'cpu', 'gpu']);
    expect(hottestOf(sample.temperatures)).toEqual({ sensor: 'gpu', celsius: 53.5 });
    expect(conditionsOf(sample).celsius).toBe(53.5);
  });

  test('with nothing known gives a sample with nothing in it', () => {
    const { load, memory, clocks } = sampleOfTegrastats(parseTegrastats('GR3D_FREQ @[1574,1574,1574]'), {
      atSeconds: 0,
      board: {},
    });
    expect([load, memory, clocks]).toEqual([{ cores: [] }, undefined, { gpuHertz: 1574e6, cores: [] }]);
  });
});

test('a measured device has the medians, and of the rest what is known', () => {
  const rate = (flopsPerSecond: number) => ({ flopsPerSecond });
  expect(
    measuredDevice(
      { forward: rate(3), input: rate(2), weight: rate(1) },
      { id: 'laptop', memoryBytes: 1e9, sustainedShare: 0.9 },
    ),
  ).toEqual({
    id: 'laptop',
    flopsPerSecond: { forward: 3, input: 2, weight: 1 },
    memoryBytes: 1e9,
    sustainedShare: 0.9,
  });
});
