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

describe('of the lines printed by boards', () => {
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

  test.each(cases)('$id leaves only tokens unread that are known to be', ({ line }) => {
    const known = /^(GR3D2_FREQ|MTS|fg|bg|\d+%(@\d+)?|FUTURE_TOKEN|value)$/;
    expect(parseTegrastats(line).other.filter((token) => !known.test(token))).toEqual([]);
  });
});

const lineOf = (id: string): string => {
  const { line } = cases.find((candidate) => candidate.id === id) ?? {};
  if (line === undefined) throw new Error(`internal: no line ${id}`);
  return line;
};

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

test('cores share the clock that follows the bracket', () => {
  expect(parseTegrastats(lineOf('THOR-2')).cores).toEqual([
    { online: true, loadPercent: 0, megahertz: 2601 },
    { online: true, loadPercent: 5, megahertz: 2601 },
    { online: false },
  ]);
});

test('an engine has a load and a clock, only a clock, or is off', () => {
  const { engines } = parseTegrastats(lineOf('AGXO-6'));
  expect(engines['NVENC']).toEqual({ online: true, loadPercent: 79, megahertz: [166] });
  expect(engines['NVDEC']).toEqual({ online: false });
  expect(engines['APE']).toEqual({ online: true, megahertz: [174] });
  expect(parseTegrastats(lineOf('THOR-1')).engines['NVENC0']).toEqual({ online: true, megahertz: [0] });
});

test('rails have an average and a maximum, and sensors a maximum', () => {
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

test('an unreadable field is absent and its tokens are kept, and the others are read', () => {
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

test('no text makes the parser throw or lose a token without a trace', () => {
  const tokens = [
    ...new Set(cases.flatMap(({ line }) => line.split(' '))),
    ...['constructor', '__proto__', '[', '(', 'CPU', 'RAM', '1/2', '5%', 'x@1C', 'off'],
  ];
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...tokens), fc.string({ maxLength: 10 })), { maxLength: 30 }),
      (parts) => {
        const { other, ...known } = parseTegrastats(parts.join(' '));
        const isEmpty = Object.values(known).every((value) => Object.keys(value).length === 0);
        expect(isEmpty && other.length === 0).toBe(parts.join(' ').trim() === '');
      },
    ),
    { seed: 7, numRuns: 500 },
  );
});

test('a cut line keeps every field before the cut', () => {
  fc.assert(
    fc.property(fc.constantFrom(...cases), fc.nat(100), ({ line }, index) => {
      const tokens = line.split(' ');
      const text = tokens.slice(0, index).join(' ');
      const whole = parseTegrastats(line);
      const cut = parseTegrastats(text);
      // Each temperature is one token; each rail is a name and its power.
      const temperatures = text.match(/\S+@-?[\d.]+C(\/\S+)?(?= |$)/g) ?? [];
      const rails = text.match(/(?<=[A-Z]\w* )\d+(mW)?\/\d+(mW)?(\/\d+mW)?(?= |$)/g) ?? [];
      expect(cut.temperatures).toEqual(whole.temperatures.slice(0, temperatures.length));
      expect(cut.rails).toEqual(
        whole.rails.slice(0, rails.length - (text.match(/(?<= )NC \d/g) ?? []).length),
      );
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

  test('joins pieces to lines and skips blank ones', async () => {
    const text = `\n${lineOf('TX1')}\r\n\n${lineOf('ONX')}`;
    expect(await samplesOf(text)).toEqual([parseTegrastats(lineOf('TX1')), parseTegrastats(lineOf('ONX'))]);
  });

  test('reports that nothing came, or what came instead', async () => {
    const code = 'JETSON_TEGRASTATS_UNREADABLE';
    await expect(samplesOf('\n \n')).rejects.toMatchObject({
      code,
      message: expect.stringContaining('jetson/readTegrastats: the stream ended before the first line'),
    });
    await expect(samplesOf('bash: tegrastats: command not found\n')).rejects.toMatchObject({
      code,
      message: expect.stringContaining('"bash: tegrastats: command not found"'),
    });
    await expect(samplesOf('x'.repeat(70_000), 50_000)).rejects.toMatchObject({
      code,
      message: expect.stringContaining('more than 65536 characters'),
    });
  });
});
