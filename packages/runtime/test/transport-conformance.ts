/** What every transport does; each driver's test runs it. */
import { getEventListeners } from 'node:events';
import { setTimeout } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Transport } from '@contextlora/runtime';

import type { Network, OpenNetwork } from './networks.js';

const bytes = (...values: number[]) => Uint8Array.from(values);
const isSettled = async (promise: Promise<unknown>, milliseconds = 60) =>
  Promise.race([
    promise.then(
      () => true,
      () => true,
    ),
    setTimeout(milliseconds, false),
  ]);

export function testTransports(name: string, open: OpenNetwork): void {
  const withPair = async (
    use: (a: Transport, b: Transport, network: Network) => Promise<void>,
    options?: { readonly window?: number },
  ) => {
    await using network = await open(['a', 'b'], options);
    await use(network.transports.get('a')!, network.transports.get('b')!, network);
  };

  describe(`Transports over ${name}`, () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    const unhandled: unknown[] = [];
    const onUnhandled = (error: unknown) => unhandled.push(error);
    beforeAll(() => {
      process.on('warning', onWarning);
      process.on('unhandledRejection', onUnhandled);
    });
    afterAll(() => {
      process.off('warning', onWarning);
      process.off('unhandledRejection', onUnhandled);
      expect({ warnings, unhandled }).toEqual({ warnings: [], unhandled: [] });
    });

    test('give the messages of a channel once each and in order, both ways', () =>
      withPair(async (a, b) => {
        const values = Array.from({ length: 40 }, (_, index) => index);
        const there = values.map((value) => a.send('b', 'x', bytes(value)));
        const back = values.map((value) => b.send('a', 'x', bytes(100 + value)));
        for (const value of values) {
          expect([...(await b.receive('a', 'x'))]).toEqual([value]);
          expect([...(await a.receive('b', 'x'))]).toEqual([100 + value]);
        }
        await Promise.all([...there, ...back]);
        expect(await isSettled(b.receive('a', 'x').catch(() => undefined))).toBe(false);
      }));

    test('carry empty and large messages whole, in buffers that numbers can be read from', () =>
      withPair(async (a, b) => {
        const large = new Float32Array(2 ** 21).map((_, index) => index);
        const sent = Promise.all([
          a.send('b', 'x', new Uint8Array()),
          a.send('b', 'x', new Uint8Array(large.slice().buffer)),
        ]);
        expect(await b.receive('a', 'x')).toHaveLength(0);
        const received = await b.receive('a', 'x');
        await sent;
        const numbers = new Float32Array(received.buffer, received.byteOffset, received.byteLength / 4);
        expect(
          Buffer.compare(
            Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength),
            Buffer.from(large.buffer),
          ),
        ).toBe(0);
      }));

    test('make a sender without credit wait until the receiver has read', () =>
      withPair(
        async (a, b) => {
          await Promise.all([1, 2, 3].map((value) => a.send('b', 'x', bytes(value))));
          const fourth = a.send('b', 'x', bytes(4));
          expect(await isSettled(fourth)).toBe(false);
          // Channels have credits of their own.
          await a.send('b', 'y', bytes(9));
          expect([...(await b.receive('a', 'x'))]).toEqual([1]);
          await fourth;
          const fifth = a.send('b', 'x', bytes(5));
          expect(await isSettled(fifth)).toBe(false);
          for (const value of [2, 3, 4, 5]) expect([...(await b.receive('a', 'x'))]).toEqual([value]);
          await fifth;
        },
        { window: 3 },
      ));

    test('keep many channels and several peers apart', async () => {
      await using network = await open(['a', 'b', 'c']);
      const { transports } = network;
      const names = Array.from({ length: 100 }, (_, index) => `stage ${index}/é`);
      const send = (from: string, to: string, salt: number) =>
        names.map((channel, index) => transports.get(from)!.send(to, channel, bytes(index, salt)));
      const sent = Promise.all([...send('a', 'c', 1), ...send('b', 'c', 2), ...send('c', 'a', 3)]);
      for (const [index, channel] of [...names.entries()].reverse()) {
        expect([...(await transports.get('c')!.receive('b', channel))]).toEqual([index, 2]);
        expect([...(await transports.get('c')!.receive('a', channel))]).toEqual([index, 1]);
        expect([...(await transports.get('a')!.receive('c', channel))]).toEqual([index, 3]);
      }
      await sent;
    });

    for (const how of ['lose', 'freeze'] as const)
      test(`reject within a second what waits for a peer that ${how === 'lose' ? 'is gone' : 'stands still'}, and give what came before`, () =>
        withPair(
          async (a, b, network) => {
            if (!network[how]) return;
            await Promise.all([a.send('b', 'x', bytes(1)), b.send('a', 'x', bytes(2))]);
            await setTimeout(50);
            const stuck = a.send('b', 'x', bytes(3));
            const waiting = a.receive('b', 'y');
            const start = performance.now();
            const outcome = Promise.allSettled([stuck, waiting]);
            await network[how]('b');
            const lost = { status: 'rejected', reason: { code: 'RUNTIME_PEER_LOST', device: 'b' } };
            expect(await outcome).toMatchObject([lost, lost]);
            expect(performance.now() - start).toBeLessThan(1000);
            expect([...(await a.receive('b', 'x'))]).toEqual([2]);
            await expect(a.receive('b', 'x')).rejects.toMatchObject(lost.reason);
            await expect(a.send('b', 'z', bytes(4))).rejects.toMatchObject(lost.reason);
          },
          { window: 1 },
        ));

    test('say that a peer has left when it was closed in order, after all that it sent', () =>
      withPair(async (a, b) => {
        await Promise.all([b.send('a', 'x', bytes(1)), b.send('a', 'x', new Uint8Array(300_000))]);
        await b[Symbol.asyncDispose]();
        expect(await a.receive('b', 'x')).toHaveLength(1);
        expect(await a.receive('b', 'x')).toHaveLength(300_000);
        await expect(a.receive('b', 'x')).rejects.toMatchObject({
          code: 'RUNTIME_PEER_LOST',
          device: 'b',
          message: expect.stringMatching(/b has left$/) as unknown,
        });
      }));

    test('reject what waits when they are closed, and everything afterwards', () =>
      withPair(
        async (a) => {
          await a.send('b', 'x', bytes(1));
          const outcome = Promise.allSettled([a.send('b', 'x', bytes(2)), a.receive('b', 'y')]);
          await a[Symbol.asyncDispose]();
          await a[Symbol.asyncDispose]();
          const closed = { status: 'rejected', reason: { code: 'RUNTIME_ABORTED' } };
          expect(await outcome).toMatchObject([closed, closed]);
          await expect(a.receive('b', 'x')).rejects.toMatchObject(closed.reason);
          await expect(a.send('b', 'x', bytes(2))).rejects.toMatchObject(closed.reason);
        },
        { window: 1 },
      ));

    test('stop waiting on request, without losing the next message, and leave no listeners', () =>
      withPair(async (a, b) => {
        const stop = new AbortController();
        for (let index = 0; index < 30; index++) {
          const sent = a.send('b', 'x', bytes(index));
          await b.receive('a', 'x', { signal: stop.signal });
          await sent;
        }
        expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
        const waiting = b.receive('a', 'x', { signal: stop.signal });
        stop.abort();
        await expect(waiting).rejects.toMatchObject({ code: 'RUNTIME_ABORTED' });
        await expect(b.receive('a', 'x', { signal: stop.signal })).rejects.toMatchObject({
          code: 'RUNTIME_ABORTED',
        });
        expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
        await a.send('b', 'x', bytes(77));
        expect([...(await b.receive('a', 'x'))]).toEqual([77]);
      }));
  });
}
