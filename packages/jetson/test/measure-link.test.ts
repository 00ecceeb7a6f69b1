import { JetsonError, type LinkListener, measureLink, measureSharing } from '@contextlora/jetson';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Socket } from 'node:net';

import { clock, emulateLink, host, listen, emulatedTime, serve } from './link-fixtures.js';

let listener: LinkListener;
beforeAll(async () => {
  listener = await listen();
});
afterAll(async () => {
  await listener[Symbol.asyncDispose]();
});

test('a loopback link is measured within its time: both ways, latency and loss', async () => {
  const start = clock();
  const link = await measureLink({ host, port: listener.port }, { clock, budgetSeconds: 0.5 });
  expect(clock() - start).toBeLessThan(2.5);
  expect(link.peer).toBe('orin');
  for (const { bytesPerSecond, lowerQuartile, upperQuartile } of [link.download, link.upload]) {
    expect(bytesPerSecond).toBeGreaterThan(1e6);
    expect(upperQuartile).toBeGreaterThanOrEqual(lowerQuartile);
  }
  const { latency } = link;
  expect(latency.leastSeconds).toBeGreaterThan(0);
  expect(latency.leastSeconds).toBeLessThan(0.02);
  expect(latency.seconds).toBeGreaterThanOrEqual(latency.lowerQuartile);
  expect(latency.lowerQuartile).toBeGreaterThanOrEqual(latency.leastSeconds);
  expect(latency.repetitions).toBeGreaterThanOrEqual(5);
  expect(link.loss).toEqual({ upload: 0, download: 0, datagrams: expect.any(Number) });
});

test('a link of known rates, latency and loss is measured as it is', async () => {
  using time = emulatedTime();
  await using end = await listen({ clock: time.clock });
  await using link = await emulateLink(end.port, time.advance, {
    download: 4e6,
    upload: 2e6,
    // Opening and answer, then echoes: the third is quicker.
    latencyOf: (message) => (message === 7 ? 0.001 : 0.01),
    delivers: (number, direction) => (direction === 'upload' ? number % 4 > 0 : number % 4 > 1),
  });
  const measured = await measureLink({ host, port: link.port }, { clock: time.clock, budgetSeconds: 3 });
  expect(Math.abs(measured.download.bytesPerSecond / 4e6 - 1)).toBeLessThan(0.2);
  expect(Math.abs(measured.upload.bytesPerSecond / 2e6 - 1)).toBeLessThan(0.2);
  const { leastSeconds, lowerQuartile, seconds } = measured.latency;
  expect(leastSeconds).toBeGreaterThanOrEqual(0.0055);
  expect(leastSeconds).toBeLessThan(lowerQuartile);
  expect(lowerQuartile).toBeGreaterThanOrEqual(0.01);
  expect(seconds).toBeLessThan(0.02);
  // Of every four datagrams three arrive and two come back.
  const { upload = 0, download = 0, datagrams = 0 } = measured.loss ?? {};
  const arrived = Array.from({ length: datagrams }, (_, number) => number).filter((n) => n % 4 > 0);
  expect(datagrams).toBeGreaterThan(20);
  expect(upload).toBeCloseTo(1 - arrived.length / datagrams, 9);
  expect(download).toBeCloseTo(1 - arrived.filter((n) => n % 4 > 1).length / arrived.length, 9);
  // With loss, TCP falls below its rate on any medium.
  expect(measured.directions.verdict).toBe('unclear');
});

test('two links on one medium share its airtime', async () => {
  using time = emulatedTime();
  await using first = await listen({ clock: time.clock });
  await using second = await listen({ clock: time.clock, id: 'nano' });
  // Whichever link passes bytes moves the one clock: the medium's time is divided.
  await using link1 = await emulateLink(first.port, time.advance, { download: 4e6, upload: 1e6 });
  await using link2 = await emulateLink(second.port, time.advance, { download: 1e6, upload: 2e6 });
  const { alone, offered, together, verdict, airtime } = await measureSharing(
    [
      { host, port: link1.port },
      { host, port: link2.port },
    ],
    { clock: time.clock, budgetSeconds: 3 },
  );
  expect(Math.abs(alone[0] / 4e6 - 1)).toBeLessThan(0.2);
  expect(Math.abs(alone[1] / 2e6 - 1)).toBeLessThan(0.2);
  expect(offered[0]).toBeCloseTo(0.8 * alone[0], 3);
  expect(Math.min(...together)).toBeGreaterThan(0);
  expect(airtime).toBeCloseTo(together[0] / alone[0] + together[1] / alone[1], 9);
  expect(verdict).toBe('shared');
});

describe('one clear message says why a measurement fails', () => {
  test.each<[string, string, RegExp, (socket: Socket) => void]>([
    [
      'something else answers',
      'JETSON_LINK_REFUSED',
      /:\d+ answers, but not as "contextlora profile --listen" does; check the port$/,
      (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    ],
    [
      'a line does not end',
      'JETSON_LINK_REFUSED',
      /not as "contextlora/,
      (socket) => socket.write('x'.repeat(5000)),
    ],
    ['nothing is answered', 'JETSON_LINK_REFUSED', /sent nothing within 0.1 s/, () => undefined],
    ['the connection ends', 'JETSON_LINK_REFUSED', /not as "contextlora/, (socket) => socket.destroy()],
    [
      'the versions differ',
      'JETSON_LINK_REFUSED',
      /speaks version 2 of the protocol, this machine version 1; install the same release/,
      (socket) => socket.write('contextlora-link 2 {}\n'),
    ],
    [
      'the name is invalid',
      'JETSON_LINK_REFUSED',
      /not as "contextlora/,
      (socket) => socket.write('contextlora-link 1 {"id":"../x"}\n'),
    ],
    [
      'the other end is busy',
      'JETSON_LINK_REFUSED',
      /is busy with other measurements/,
      (socket) => socket.write('contextlora-link 1 {"error":"busy"}\n'),
    ],
    [
      'the other end falls silent',
      'JETSON_LINK_BROKEN',
      /stopped answering after 0 echoes/,
      (socket) => socket.write('contextlora-link 1 {"id":"a"}\n'),
    ],
  ])('when %s', async (_, code, message, handle) => {
    await using server = await serve(handle);
    const error: unknown = await measureLink(
      { host, port: server.port },
      { clock, budgetSeconds: 0.5, timeoutSeconds: 0.1 },
    ).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(JetsonError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(error).toMatchObject({ message: expect.stringMatching(/^jetson\/measureLink: 127\.0\.0\.1:/) });
  });

  test('when nothing listens there', async () => {
    const closed = await serve(() => undefined);
    await closed[Symbol.asyncDispose]();
    await expect(measureLink({ host, port: closed.port }, { clock, budgetSeconds: 1 })).rejects.toMatchObject(
      {
        code: 'JETSON_LINK_UNREACHABLE',
        message: `jetson/measureLink: ${host}:${closed.port} refused the connection; is "contextlora profile --listen" running there, on this port?`,
      },
    );
  });

  test('when the budget is out of range', async () => {
    for (const budgetSeconds of [0, 0.4, 301, Number.NaN])
      await expect(measureLink({ host, port: 1 }, { clock, budgetSeconds })).rejects.toMatchObject({
        code: 'JETSON_ARGUMENT_INVALID',
        message: `jetson/measureLink: budgetSeconds must be from 0.5 to 300, got ${budgetSeconds}`,
      });
  });
});

test('an abort ends a measurement at once', async () => {
  const start = clock();
  const stop = new AbortController();
  let connections = 0;
  await using server = await serve((socket) => {
    connections += 1;
    socket.write('contextlora-link 1 {"id":"a"}\n');
    // The echo never comes: only the abort can end the wait.
    socket.once('data', () => {
      setTimeout(() => {
        stop.abort();
      }, 10);
    });
  });
  await expect(
    measureLink(
      { host, port: server.port },
      { clock, budgetSeconds: 30, timeoutSeconds: 60, signal: stop.signal },
    ),
  ).rejects.toThrow();
  expect(clock() - start).toBeLessThan(5);
  await expect(
    measureLink({ host, port: server.port }, { clock, budgetSeconds: 1, signal: stop.signal }),
  ).rejects.toThrow(stop.signal.reason as Error);
  expect(connections).toBe(1);
});
