import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

import {
  fitSharing,
  fitThroughput,
  type LinkListener,
  linkProfiles,
  listenForLinks,
  type MeasuredLink,
  measureLink,
  measureSharing,
  parseEndpoint,
} from '@contextlora/jetson';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

const clock = () => performance.now() / 1000;
const host = '127.0.0.1';
const listen = (more: { id?: string; mostConnections?: number } = {}) =>
  listenForLinks({ port: 0, host, id: 'orin', clock, randomBytes, ...more });

/** A server that does as told with every connection; its port. */
async function serve(handle: (socket: Socket) => void): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Passes bytes on at a rate, so many seconds late. */
function pass(
  from: Socket,
  to: Socket,
  { bytesPerSecond, seconds }: { bytesPerSecond: number; seconds: number },
) {
  let free = 0;
  from.on('data', (chunk: Buffer) => {
    free = Math.max(free, clock()) + chunk.length / bytesPerSecond;
    const ahead = free - clock();
    if (ahead > 0.02) from.pause();
    setTimeout(
      () => {
        if (!to.destroyed) to.write(chunk);
        from.resume();
      },
      1000 * (ahead + seconds),
    );
  });
  from.on('close', () => {
    setTimeout(() => to.destroy(), 1000 * (Math.max(0, free - clock()) + seconds + 0.02));
  });
}

let listener: LinkListener;
beforeAll(async () => {
  listener = await listen();
});
const opened: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of opened) close();
  await listener[Symbol.asyncDispose]();
});

describe('a link', () => {
  test('is measured on loopback within its time: both ways, latency and loss', async () => {
    const start = clock();
    const link = await measureLink({ host, port: listener.port }, { clock, budgetSeconds: 0.8 });
    expect(clock() - start).toBeLessThan(3);
    expect(link.peer).toBe('orin');
    for (const { bytesPerSecond, lowerQuartile, upperQuartile } of [link.download, link.upload]) {
      expect(bytesPerSecond).toBeGreaterThan(1e6);
      expect(upperQuartile).toBeGreaterThanOrEqual(lowerQuartile);
    }
    const { latency } = link;
    expect(latency.seconds).toBeGreaterThan(0);
    expect(latency.leastSeconds).toBeLessThan(0.02);
    expect(latency.leastSeconds).toBeLessThanOrEqual(latency.lowerQuartile);
    expect(link.loss).toEqual({ upload: 0, download: 0, datagrams: expect.any(Number) });
  });

  test('of known rate and delay comes out as it is', async () => {
    const set = { bytesPerSecond: 2e6, seconds: 0.01 };
    await using proxy = await serve((socket) => {
      const onward = connect({ host, port: listener.port, noDelay: true });
      onward.on('error', () => undefined);
      socket.setNoDelay(true);
      pass(socket, onward, set);
      pass(onward, socket, set);
    });
    const { download, upload, latency } = await measureLink(
      { host, port: proxy.port },
      { clock, budgetSeconds: 2 },
    );
    for (const { bytesPerSecond } of [download, upload])
      // A busy machine passes bytes on later than set, never earlier.
      expect(Math.abs(bytesPerSecond / set.bytesPerSecond - 1)).toBeLessThan(0.5);
    expect(latency.leastSeconds).toBeGreaterThanOrEqual(0.009);
    expect(latency.leastSeconds).toBeLessThan(0.03);
  });

  test('and another are measured alone and at once', async () => {
    await using other = await listen({ id: 'nano' });
    const { airtime, together } = await measureSharing(
      [
        { host, port: listener.port },
        { host, port: other.port },
      ],
      { clock, budgetSeconds: 0.6 },
    );
    expect(airtime).toBeGreaterThan(0);
    expect(Math.min(...together)).toBeGreaterThan(0);
  });

  test.each<[string, RegExp, (socket: Socket) => void]>([
    [
      'something else',
      /:\d+ answers, but not as "contextlora profile --listen" does; check the port$/,
      (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    ],
    ['a line without end', /not as "contextlora/, (socket) => socket.write('x'.repeat(5000))],
    ['nothing', /said nothing within 0.3 s/, () => undefined],
    ['the end of the connection', /not as "contextlora/, (socket) => socket.destroy()],
    [
      'another version',
      /speaks version 2 of the protocol, this machine version 1; install the same release/,
      (socket) => socket.write('contextlora-link 2 {}\n'),
    ],
    [
      'a name that is none',
      /not as "contextlora/,
      (socket) => socket.write('contextlora-link 1 {"id":"../x"}\n'),
    ],
    [
      'being busy',
      /measures with others already/,
      (socket) => socket.write('contextlora-link 1 {"error":"busy"}\n'),
    ],
    [
      'a greeting and then nothing',
      /stopped answering after 0 echoes/,
      (socket) => socket.write('contextlora-link 1 {"id":"a"}\n'),
    ],
  ])('is refused with one clear message when the other end answers with %s', async (_, message, handle) => {
    await using server = await serve(handle);
    const measured = measureLink(
      { host, port: server.port },
      { clock, budgetSeconds: 0.5, timeoutSeconds: 0.3 },
    );
    await expect(measured).rejects.toThrow(message);
    await expect(measured).rejects.toThrow(/^jetson\/measureLink: 127\.0\.0\.1:/);
  });

  test('to nobody is refused, and a wrong budget too', async () => {
    const closed = await serve(() => undefined);
    await closed[Symbol.asyncDispose]();
    const endpoint = { host, port: closed.port };
    await expect(measureLink(endpoint, { clock, budgetSeconds: 1 })).rejects.toThrow(
      `${host}:${closed.port} refused the connection; is "contextlora profile --listen" running there`,
    );
    await expect(measureLink(endpoint, { clock, budgetSeconds: 0 })).rejects.toThrow(
      'from 0.5 to 300, got 0',
    );
  });

  test('stops when it is told to', async () => {
    const stop = new AbortController();
    const measured = measureLink(
      { host, port: listener.port },
      { clock, budgetSeconds: 30, signal: stop.signal },
    );
    setTimeout(() => {
      stop.abort();
    }, 100);
    await expect(measured).rejects.toThrow();
  });
});

describe('a listening end', () => {
  const say = (port: number, text: string): Promise<string> =>
    new Promise((resolve) => {
      let heard = '';
      const socket = connect({ host, port }, () => socket.write(text));
      socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
      socket.on('error', () => undefined);
      socket.on('close', () => {
        resolve(heard);
      });
    });

  test.each([
    ['another protocol', 'GET / HTTP/1.1\r\n\r\n', ''],
    ['a line without end', 'x'.repeat(3000), ''],
    [
      'another version',
      'contextlora-link 7 {}\n',
      'contextlora-link 1 {"error":"this end speaks version 1"}\n',
    ],
    ...['{"measure":"upload","seconds":1e9}', '{"measure":"__proto__","seconds":1}', '[]', '{'].map(
      (request) =>
        [
          request,
          `contextlora-link 1 ${request}\n`,
          expect.stringMatching(/^$|cannot serve this request/),
        ] as const,
    ),
  ])('closes on %s', async (_, text, answer) => {
    expect(await say(listener.port, text)).toEqual(answer);
  });

  test('says that it is busy, and serves again afterwards', async () => {
    await using small = await listen({ mostConnections: 1 });
    const endpoint = { host, port: small.port };
    const idle = connect(endpoint);
    await new Promise((resolve) => idle.once('connect', resolve));
    await expect(measureLink(endpoint, { clock, budgetSeconds: 0.5 })).rejects.toThrow('with others already');
    idle.destroy();
  });

  test('echoes datagrams of its session once, and no others', async () => {
    const socket = connect({ host, port: listener.port });
    const udp = createSocket('udp4');
    // A test that fails must not leave them open: the run would not end.
    opened.push(
      () => udp.close(),
      () => socket.destroy(),
    );
    socket.write('contextlora-link 1 {"measure":"loss","seconds":5}\n');
    const line = await new Promise<string>((resolve) =>
      socket.once('data', (data: Buffer) => {
        resolve(data.toString());
      }),
    );
    const { udpPort, token } = JSON.parse(line.replace('contextlora-link 1 ', '')) as {
      udpPort: number;
      token: string;
    };
    const datagram = (by: string, number: number, bytes = 1000) => {
      const made = Buffer.alloc(bytes);
      made.write(by, 'hex');
      made.writeUInt32BE(number, 16);
      return made;
    };
    const echoed: number[] = [];
    udp.on('message', (message) => echoed.push(message.readUInt32BE(16)));
    for (const one of [
      datagram(token, 1),
      datagram(token, 1),
      datagram('00'.repeat(16), 2),
      datagram(token, 3, 900),
      datagram(token, 2 ** 31),
      datagram(token, 4),
    ])
      await new Promise<void>((resolve) => {
        udp.send(one, udpPort, host, () => {
          resolve();
        });
      });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(echoed).toEqual([1, 4]);
    socket.write('\n');
    const count = await new Promise<string>((resolve) =>
      socket.once('data', (data: Buffer) => {
        resolve(data.toString());
      }),
    );
    expect(count).toBe('{"received":2}\n');
  });

  test('needs a name and a free port', async () => {
    await expect(listen({ id: 'my board' })).rejects.toThrow("jetson/listenForLinks: a device's name has");
    await expect(listenForLinks({ port: listener.port, host, id: 'a', clock, randomBytes })).rejects.toThrow(
      `port ${listener.port}: something listens there already; give another port`,
    );
  });
});

describe('plain measurements', () => {
  test('give a rate without the slow start', () => {
    const slots = [0, 10, 50, 100, 100, 100, 100, 120, 80, 100, 100, 100];
    expect(fitThroughput(slots, 0.1)).toEqual({
      bytesPerSecond: expect.closeTo(1000),
      lowerQuartile: expect.closeTo(1000),
      upperQuartile: expect.closeTo(1000),
      seconds: expect.closeTo(0.9),
    });
    // A link that stalls is slow, and one on which nothing came is none.
    expect(fitThroughput([100, 0, 0, 0, 0, 0, 0, 0], 1).bytesPerSecond).toBe(12.5);
    expect(() => fitThroughput([0, 0, 0, 0], 1)).toThrow('there is no rate to see');
  });

  test('tell one medium from two, whatever the rates', () => {
    const rate = fc.double({ min: 1e3, max: 1e10, noNaN: true });
    fc.assert(
      fc.property(rate, rate, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, share) => {
        const offered = [0.8 * a, 0.8 * b] as const;
        const divided = fitSharing({ alone: [a, b], offered, together: [share * a, (1 - share) * b] });
        expect(divided.verdict).toBe('shared');
        expect(divided.airtime).toBeCloseTo(1, 9);
        const apart = fitSharing({ alone: [a, b], offered, together: [0.75 * a, 0.8 * b] });
        expect(apart.verdict).toBe('separate');
        expect(apart.offeredAirtime).toBeCloseTo(1.6, 9);
      }),
      { seed: 3, numRuns: 100 },
    );
    const offered = [0.8, 0.8] as const;
    expect(fitSharing({ alone: [1, 1], offered, together: [0.6, 0.7] }).verdict).toBe('unclear');
    // Where datagrams get lost TCP keeps to no rate, so that a low one proves nothing.
    expect(fitSharing({ alone: [1, 1], offered, together: [0.5, 0.5], loss: 0.01 }).verdict).toBe('unclear');
    expect(fitSharing({ alone: [1, 1], offered, together: [0.8, 0.8], loss: 0.01 }).verdict).toBe('separate');
    expect(() => fitSharing({ alone: [0, 1], offered, together: [0, 1] })).toThrow('alone must be two rates');
    expect(() => fitSharing({ alone: [2, 2], offered, together: [0, 1] })).toThrow('more than 1 to see');
  });

  test('become links of a cluster, those that share on one medium', () => {
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

  test('go to an endpoint that is written as usual', () => {
    expect(parseEndpoint('orin.local')).toEqual({ host: 'orin.local', port: 47_717 });
    expect(parseEndpoint('10.0.0.2:5000')).toEqual({ host: '10.0.0.2', port: 5000 });
    expect(parseEndpoint('[fe80::1]:5000')).toEqual({ host: 'fe80::1', port: 5000 });
    expect(parseEndpoint('fe80::1')).toEqual({ host: 'fe80::1', port: 47_717 });
    for (const text of ['', 'a:0', 'a:70000', 'http://a', 'a b', 'a:x', '[a'])
      expect(() => parseEndpoint(text)).toThrow(/^jetson\/parseEndpoint: ".*" is no HOST/);
  });
});
