import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';
import { parseTegrastats, readTegrastats, type TegrastatsSample, totalPower } from '@contextlora/jetson';
import fc from 'fast-check';

interface Case {
  readonly id: string;
  readonly line: string;
  readonly expected: {
    readonly ramMegabytes: readonly [number, number];
    readonly swapMegabytes: readonly [number, number] | null;
    readonly cores: readonly [number, number];
    readonly coreSumPercent: number;
    readonly memoryController: number | null | 'absent';
    readonly gpuPercent: number | null;
    readonly gpuMegahertz: readonly number[] | null;
    readonly sensors: number;
    readonly sensorsOff: number;
    readonly rails: number;
    readonly totalFrom: string;
    readonly totalMilliwatts: number | null;
  };
}

const cases = JSON.parse(
  readFileSync(new URL('fixtures/tegrastats-lines.json', import.meta.url), 'utf8'),
) as readonly Case[];
const megabytes = (memory: TegrastatsSample['ram']) =>
  memory ? [memory.usedBytes / 2 ** 20, memory.totalBytes / 2 ** 20] : null;

describe('lines that boards printed', () => {
  test.each(cases)('$id is read in full', ({ line, expected }) => {
    const sample = parseTegrastats(line);
    const online = sample.cores.filter((core) => core.online);
    const total = totalPower(sample.rails);
    const { memoryController, gpu } = sample;
    expect({
      ramMegabytes: megabytes(sample.ram),
      swapMegabytes: megabytes(sample.swap),
      cores: [online.length, sample.cores.length],
      coreSumPercent: online.reduce((sum, core) => sum + (core.loadPercent ?? NaN), 0),
      memoryController: memoryController ? (memoryController.loadPercent ?? null) : 'absent',
      gpuPercent: gpu?.loadPercent ?? null,
      gpuMegahertz: gpu?.megahertz ?? null,
      sensors: sample.temperatures.filter(({ celsius }) => celsius !== undefined).length,
      sensorsOff: sample.temperatures.filter(({ celsius }) => celsius === undefined).length,
      rails: sample.rails.length,
      totalFrom: total?.from ?? 'none',
      totalMilliwatts: total ? Math.round(total.watts * 1000) : null,
    }).toEqual(expected);
  });

  test.each(cases)('$id leaves over only what is known to be left over', ({ line }) => {
    const known = /^(GR3D2_FREQ|MTS|fg|bg|\d+%(@\d+)?|FUTURE_TOKEN|value)$/;
    expect(parseTegrastats(line).other.filter((token) => !known.test(token))).toEqual([]);
  });
});

const lineOf = (id: string) => cases.find((one) => one.id === id)!.line;

test('dates, free blocks and cached swap are read', () => {
  const sample = parseTegrastats(lineOf('XNX-2'));
  expect(sample.date).toBe('07-09-2024 13:31:31');
  expect(sample.ram?.largestFreeBlock).toEqual({ count: 2, bytes: 4 * 2 ** 20 });
  expect(parseTegrastats(lineOf('NANO-3')).swap?.cachedBytes).toBe(6 * 2 ** 20);
  expect(parseTegrastats(lineOf('TX1')).iram).toEqual({
    usedBytes: 0,
    totalBytes: 252 * 1024,
    largestFreeBlock: { count: 1, bytes: 252 * 1024 },
  });
  expect(parseTegrastats('RAM 1/2GB (lfb 1x512kB)').ram).toEqual({
    usedBytes: 2 ** 30,
    totalBytes: 2 ** 31,
    largestFreeBlock: { count: 1, bytes: 512 * 1024 },
  });
});

test('cores take the common clock behind the bracket', () => {
  expect(parseTegrastats(lineOf('THOR-2')).cores).toEqual([
    { online: true, loadPercent: 0, megahertz: 2601 },
    { online: true, loadPercent: 5, megahertz: 2601 },
    { online: false },
  ]);
});

test('engines tell load, clock and off apart', () => {
  const { engines } = parseTegrastats(lineOf('AGXO-6'));
  expect(engines['NVENC']).toEqual({ online: true, loadPercent: 79, megahertz: [166] });
  expect(engines['NVDEC']).toEqual({ online: false });
  expect(engines['APE']).toEqual({ online: true, megahertz: [174] });
  expect(parseTegrastats(lineOf('THOR-1')).engines['NVENC0']).toEqual({ online: true, megahertz: [0] });
});

test('averages and maxima stand beside the power of now', () => {
  expect(parseTegrastats(lineOf('THOR-3')).rails[0]).toEqual({
    rail: 'VDD_GPU',
    watts: 37.939,
    averageWatts: 8.66,
    maxWatts: 37.939,
  });
  expect(parseTegrastats(lineOf('THOR-3')).temperatures[0]).toEqual({
    sensor: 'cpu',
    celsius: 58.25,
    maxCelsius: 61.75,
  });
});

test('an unreadable field is missing and kept, and the others are read', () => {
  const sample = parseTegrastats(
    'RAM x/yMB CPU [1%@100,??,off] EMC_FREQ %@ GR3D_FREQ 5% __proto__ 5% VDD_IN 10/20',
  );
  expect(sample.ram).toBeUndefined();
  expect(sample.memoryController).toBeUndefined();
  expect(sample.cores).toEqual([
    { online: true, loadPercent: 1, megahertz: 100 },
    { online: true },
    { online: false },
  ]);
  expect(sample.gpu).toEqual({ online: true, loadPercent: 5 });
  expect(sample.rails).toEqual([{ rail: 'VDD_IN', watts: 0.01, averageWatts: 0.02 }]);
  expect(sample.other).toEqual(['RAM', 'x/yMB', '??', 'EMC_FREQ', '%@', '__proto__', '5%']);
});

test('no text makes the parser throw, and a cut line keeps what came before the cut', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      expect(() => parseTegrastats(text)).not.toThrow();
    }),
    { seed: 7, numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.constantFrom(...cases), fc.nat(1000), ({ line }, at) => {
      const whole = parseTegrastats(line);
      const cut = parseTegrastats(line.slice(0, at));
      expect(cut.temperatures.length).toBeLessThanOrEqual(whole.temperatures.length);
      expect(cut.rails.length).toBeLessThanOrEqual(whole.rails.length);
    }),
    { seed: 7, numRuns: 300 },
  );
});

describe('the stream reader', () => {
  async function* pieces(text: string, size: number) {
    for (let at = 0; at < text.length; at += size) yield await Promise.resolve(text.slice(at, at + size));
  }
  const samplesOf = async (text: string, size = 7) => {
    const samples: TegrastatsSample[] = [];
    for await (const sample of readTegrastats(pieces(text, size))) samples.push(sample);
    return samples;
  };

  test('joins pieces to lines and passes over blank ones', async () => {
    const text = `\n${lineOf('TX1')}\r\n\n${lineOf('ONX')}`;
    expect(await samplesOf(text)).toEqual([parseTegrastats(lineOf('TX1')), parseTegrastats(lineOf('ONX'))]);
  });

  test('says when nothing came, and what came instead', async () => {
    await expect(samplesOf('\n \n')).rejects.toThrow('jetson/readTegrastats: the stream ended before');
    await expect(samplesOf('bash: tegrastats: command not found\n')).rejects.toThrow('command not found');
    await expect(samplesOf('x'.repeat(70_000), 50_000)).rejects.toThrow('more than 65536 characters');
  });
});
