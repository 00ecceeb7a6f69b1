import { describe, expect, test } from '@jest/globals';
import {
  conditionsOf,
  type DeviceSample,
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

describe('under lasting load', () => {
  test('a machine that throttles to 70 % keeps 0.7', async () => {
    const { layer, clock } = fakeLayer({ slowdown: (pass) => (pass < 60 ? 1 : 1 / 0.7) });
    const { sustainedShare, series } = await measureSustained(layer, { clock, durationSeconds: 200 });
    expect(sustainedShare).toBeCloseTo(0.7, 6);
    expect(series.length).toBeGreaterThan(60);
    expect(series.at(-1)?.atSeconds).toBeGreaterThanOrEqual(200);
    // 2 backward kinds and a forward of 256 tokens: 15e6 × 256 FLOPs in 256 × (3 + 2.5 + 1.75) ms.
    expect(series[0]?.flopsPerSecond).toBeCloseTo(15e6 / 7.25e-3, -3);
  });

  test('temperature, clock and power are recorded, and sampling them does not lower the rate', async () => {
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
    expect(conditions[1]?.atSeconds).toBeGreaterThanOrEqual(10);
    const { celsius, gpuHertz } = throttling;
    expect(celsius?.last).toBeGreaterThan(celsius?.first ?? NaN);
    expect(gpuHertz?.last).toBeLessThan(gpuHertz?.first ?? NaN);
    expect(throttling.watts).toEqual({ first: 9, last: 9 });
  });

  test('a machine that gets faster keeps 1', async () => {
    const { layer, clock } = fakeLayer({ slowdown: (pass) => (pass < 20 ? 2 : 1) });
    expect((await measureSustained(layer, { clock, durationSeconds: 100 })).sustainedShare).toBe(1);
  });

  test('the share compares the last third of the rounds with the first', async () => {
    const slowdowns = [1, 1, 1, 9, 9, 9, 2, 2, 2];
    const { layer, clock } = fakeLayer({ slowdown: (pass) => slowdowns[pass >> 1] ?? 2 });
    // A round without slowdown takes 256 × 7.25 ms.
    const durationSeconds = 256 * 7.25e-3 * (3 + 27 + 6) - 1e-3;
    const { sustainedShare, series } = await measureSustained(layer, { clock, durationSeconds });
    expect(series.length).toBe(9);
    expect(sustainedShare).toBeCloseTo(0.5, 9);
  });

  test('too short a run and a stopped clock are errors', async () => {
    const { layer, clock } = fakeLayer();
    await expect(measureSustained(layer, { clock, durationSeconds: 5 })).rejects.toMatchObject({
      code: 'JETSON_MEASUREMENT_TOO_SHORT',
      message: 'jetson/measureSustained: needs 9 rounds or more, got 3; run longer or with fewer tokens',
    });
    await expect(measureSustained(layer, { clock: () => 5, durationSeconds: 1 })).rejects.toMatchObject({
      code: 'JETSON_MEASUREMENT_TOO_SHORT',
      message: expect.stringContaining('took no time'),
    });
    await expect(measureSustained(layer, { clock, durationSeconds: 0 })).rejects.toMatchObject({
      code: 'JETSON_ARGUMENT_INVALID',
      problems: ['durationSeconds must be a number above 0, got 0'],
    });
  });

  test('an abort ends the run with the rounds so far', async () => {
    const { layer, clock, passes } = fakeLayer();
    const stop = new AbortController();
    const stopping = {
      ...layer,
      forward: (tokens: number) => {
        layer.forward(tokens);
        if (passes() > 20) stop.abort();
      },
    };
    const { series } = await measureSustained(stopping, {
      clock,
      durationSeconds: 1000,
      signal: stop.signal,
    });
    expect(series.length).toBe(11);
  });

  test('a figure that a machine does not report, or reports too rarely, has no change', async () => {
    const sampled = async (durationSeconds: number) => {
      const { layer, clock } = fakeLayer();
      let watts = 0;
      const { throttling } = await measureSustained(layer, {
        clock,
        durationSeconds,
        sampleEverySeconds: 10,
        sample: () => {
          watts += 1;
          return Promise.resolve({
            atSeconds: 0,
            board: {},
            load: { cores: [] },
            power: { rails: [], total: { watts, from: 'VIN' } },
            temperatures: [],
            clocks: { cores: [] },
            missing: [],
          });
        },
      });
      return throttling;
    };
    expect(await sampled(25)).toEqual({ watts: { first: 1, last: 3 } });
    expect(await sampled(18)).toEqual({});
  });
});

describe('a line of tegrastats', () => {
  test('becomes a sample like one read from files, with the given board', () => {
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
    // A sensor that is off is absent, and a power chip's constant is not the board's temperature.
    expect(sample.temperatures.map(({ sensor }) => sensor)).toEqual(['PMIC', 'cpu', 'gpu']);
    expect(hottestOf(sample.temperatures)).toEqual({ sensor: 'gpu', celsius: 53.5 });
    expect(conditionsOf(sample).celsius).toBe(53.5);
  });

  test('of which little is known gives a sample with little in it', () => {
    const { load, memory, clocks } = sampleOfTegrastats(parseTegrastats('GR3D_FREQ @[1574,1574,1574]'), {
      atSeconds: 0,
      board: {},
    });
    expect([load, memory, clocks]).toEqual([{ cores: [] }, undefined, { gpuHertz: 1574e6, cores: [] }]);
  });
});

test('a measured device has the median rates and whatever else is known', () => {
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
