import {
  fitSharing,
  fitThroughput,
  linkProfiles,
  lossOf,
  type MeasuredLink,
  parseEndpoint,
} from '@contextlora/jetson';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';

test('a rate leaves out the slow start of a connection', () => {
  const slots = [0, 10, 50, 100, 100, 100, 100, 120, 80, 100, 100, 100];
  expect(fitThroughput(slots, 0.1)).toEqual({
    bytesPerSecond: expect.closeTo(1000),
    lowerQuartile: expect.closeTo(1000),
    upperQuartile: expect.closeTo(1000),
    seconds: expect.closeTo(0.9),
  });
  // A stalled link is slow; a link on which nothing arrived has no rate.
  expect(fitThroughput([100, 0, 0, 0, 0, 0, 0, 0], 1).bytesPerSecond).toBe(12.5);
  expect(() => fitThroughput([0, 0, 0, 0], 1)).toThrow(
    expect.objectContaining({
      code: 'JETSON_MEASUREMENT_TOO_SHORT',
      message: 'jetson/fitThroughput: 0 bytes arrived in 4 slots of 1 s, too few for a rate; measure longer',
    }),
  );
  expect(() => fitThroughput([1, 1, 1], 1)).toThrow('3 slots');
});

test('streams on one medium are distinguished from separate ones at any rates', () => {
  const rate = fc.double({ min: 1e3, max: 1e10, noNaN: true });
  fc.assert(
    fc.property(rate, rate, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, share) => {
      const offered = [0.8 * a, 0.8 * b] as const;
      const divided = fitSharing({ alone: [a, b], offered, together: [share * a, (1 - share) * b] });
      expect(divided.verdict).toBe('shared');
      expect(divided.airtime).toBeCloseTo(1, 9);
      const separate = fitSharing({ alone: [a, b], offered, together: [0.75 * a, 0.8 * b] });
      expect(separate.verdict).toBe('separate');
      expect(separate.offeredAirtime).toBeCloseTo(1.6, 9);
    }),
    { seed: 3, numRuns: 100 },
  );
  const offered = [0.8, 0.8] as const;
  expect(fitSharing({ alone: [1, 1], offered, together: [0.6, 0.7] }).verdict).toBe('unclear');
  // With loss, TCP falls below its rate on any medium, so that a low rate proves nothing.
  expect(fitSharing({ alone: [1, 1], offered, together: [0.5, 0.5], loss: 0.01 }).verdict).toBe('unclear');
  expect(fitSharing({ alone: [1, 1], offered, together: [0.8, 0.8], loss: 0.01 }).verdict).toBe('separate');
  expect(() => fitSharing({ alone: [0, 1], offered, together: [0, 1] })).toThrow('alone must be two rates');
  expect(() => fitSharing({ alone: [2, 2], offered, together: [0, 1] })).toThrow('more than 1 to show');
});

test('measured links become links of a cluster, with a medium if they share one', () => {
  const throughput = (bytesPerSecond: number) => ({
    bytesPerSecond,
    lowerQuartile: bytesPerSecond,
    upperQuartile: bytesPerSecond,
    seconds: 1,
  });
  const sharing = (verdict: 'shared' | 'separate') => ({
    alone: [1, 1] as const,
    offered: [1, 1] as const,
    together: [1, 1] as const,
    airtime: 1,
    offeredAirtime: 2,
    verdict,
  });
  const link = (peer: string, verdict: 'shared' | 'separate'): MeasuredLink => ({
    peer,
    download: throughput(2e6),
    upload: throughput(1e6),
    latency: {
      seconds: 0.01,
      lowerQuartile: 0.01,
      upperQuartile: 0.01,
      leastSeconds: 0.01,
      repetitions: 9,
    },
    loss: { upload: 0.01, download: 0, datagrams: 100 },
    directions: sharing(verdict),
  });
  const mediaOf = (links: readonly MeasuredLink[], pairs: (readonly [number, number])[]) =>
    linkProfiles(links, {
      id: 'laptop',
      sharings: pairs.map((pair) => ({ ...sharing('shared'), links: pair })),
    }).map(({ medium }) => medium);
  expect(linkProfiles([link('orin', 'separate')], { id: 'laptop' })).toEqual([
    { from: 'laptop', to: 'orin', bytesPerSecond: 1e6, latencySeconds: 0.01 },
    { from: 'orin', to: 'laptop', bytesPerSecond: 2e6, latencySeconds: 0.01 },
  ]);
  const three = [link('a', 'separate'), link('b', 'separate'), link('c', 'separate')];
  expect(mediaOf(three, [[2, 1]])).toEqual([undefined, undefined, 'wifi', 'wifi', 'wifi', 'wifi']);
  expect(mediaOf([link('a', 'shared'), link('b', 'shared')], [])).toEqual([
    'wifi',
    'wifi',
    'wifi-2',
    'wifi-2',
  ]);
  expect(mediaOf([link('a', 'shared'), link('b', 'shared')], [[0, 1]])).toEqual([
    'wifi',
    'wifi',
    'wifi',
    'wifi',
  ]);
});

test('an endpoint is parsed in the usual notations', () => {
  expect(parseEndpoint('orin.local')).toEqual({ host: 'orin.local', port: 47_717 });
  expect(parseEndpoint('10.0.0.2:5000')).toEqual({ host: '10.0.0.2', port: 5000 });
  expect(parseEndpoint('[fe80::1]:5000')).toEqual({ host: 'fe80::1', port: 5000 });
  expect(parseEndpoint('fe80::1')).toEqual({ host: 'fe80::1', port: 47_717 });
  for (const text of ['', 'a:0', 'a:70000', 'http://a', 'a b', 'a:x', '[a'])
    expect(() => parseEndpoint(text)).toThrow(/^jetson\/parseEndpoint: ".*" is not HOST/);
});

test('the loss of a link is the larger of both directions, and 0 if unknown', () => {
  expect(lossOf({ loss: { upload: 0.01, download: 0.02, datagrams: 100 } })).toBe(0.02);
  expect(lossOf({ loss: { upload: 0.03, download: 0.02, datagrams: 100 } })).toBe(0.03);
  expect(lossOf({})).toBe(0);
});
