import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

import { type LinkListener, listenForLinks } from '@contextlora/jetson';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { clock, host, listen } from './link-fixtures.js';

let listener: LinkListener;
beforeAll(async () => {
  listener = await listen();
});
const opened: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of opened) close();
  await listener[Symbol.asyncDispose]();
});

/** All that a listening end sends after a text, until it closes. */
const answerTo = (port: number, text: string): Promise<string> =>
  new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host, port }, () => socket.write(text));
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(answer);
    });
  });

const cannotServe = 'contextlora-link 1 {"error":"cannot serve this request"}\n';

test.each([
  ['another protocol', 'GET / HTTP/1.1\r\n\r\n', ''],
  ['a line without end', 'x'.repeat(3000), ''],
  ['a list', 'contextlora-link 1 []\n', ''],
  ['damaged JSON', 'contextlora-link 1 {\n', ''],
  [
    'another version',
    'contextlora-link 7 {}\n',
    'contextlora-link 1 {"error":"this end speaks version 1"}\n',
  ],
  ['too long a measurement', 'contextlora-link 1 {"measure":"upload","seconds":61}\n', cannotServe],
  ['an unknown measurement', 'contextlora-link 1 {"measure":"__proto__","seconds":1}\n', cannotServe],
  [
    'a rate that is not positive',
    'contextlora-link 1 {"measure":"download","seconds":1,"bytesPerSecond":0}\n',
    cannotServe,
  ],
])('a listening end closes the connection on %s', async (_, text, answer) => {
  expect(await answerTo(listener.port, text)).toBe(answer);
});

test('a listening end says that it is busy, and serves again afterwards', async () => {
  await using small = await listen({ maxConnections: 1 });
  const firstLine = () =>
    new Promise<string>((resolve) => {
      const socket = connect({ host, port: small.port }, () =>
        socket.write('contextlora-link 1 {"measure":"latency","seconds":1}\n'),
      );
      socket.once('data', (data: Buffer) => {
        resolve(data.toString());
        socket.destroy();
      });
    });
  const idle = connect({ host, port: small.port });
  await new Promise((resolve) => idle.once('connect', resolve));
  expect(await firstLine()).toBe('contextlora-link 1 {"error":"busy"}\n');
  idle.destroy();
  let line = await firstLine();
  // The end of the idle connection may not have arrived yet.
  while (line.includes('busy')) line = await firstLine();
  expect(line).toBe('contextlora-link 1 {"id":"orin"}\n');
});

test('a listening end echoes each datagram of its session once, and no others', async () => {
  const socket = connect({ host, port: listener.port });
  const udp = createSocket('udp4');
  // A failing test must not leave these open, or the run would not end.
  opened.push(
    () => udp.close(),
    () => socket.destroy(),
  );
  const nextText = () =>
    new Promise<string>((resolve) =>
      socket.once('data', (data: Buffer) => {
        resolve(data.toString());
      }),
    );
  socket.write('contextlora-link 1 {"measure":"loss","seconds":5}\n');
  const { udpPort, token } = JSON.parse((await nextText()).replace('contextlora-link 1 ', '')) as {
    udpPort: number;
    token: string;
  };
  const datagram = (by: string, number: number, bytes = 1000) => {
    const message = Buffer.alloc(bytes);
    message.write(by, 'hex');
    message.writeUInt32BE(number, 16);
    return message;
  };
  const echoed: number[] = [];
  const lastEcho = new Promise<void>((resolve) =>
    udp.on('message', (message) => {
      echoed.push(message.readUInt32BE(16));
      if (echoed.at(-1) === 4) resolve();
    }),
  );
  for (const message of [
    datagram(token, 1),
    datagram(token, 1),
    datagram('00'.repeat(16), 2),
    datagram(token, 3, 900),
    datagram(token, 2 ** 31),
    datagram(token, 4),
  ])
    await new Promise<void>((resolve) => {
      udp.send(message, udpPort, host, () => {
        resolve();
      });
    });
  await lastEcho;
  expect(echoed).toEqual([1, 4]);
  socket.write('\n');
  expect(await nextText()).toBe('{"received":2}\n');
});

test('a listening end needs a valid name and a free port', async () => {
  await expect(listen({ id: 'my board' })).rejects.toMatchObject({
    code: 'JETSON_ARGUMENT_INVALID',
    message: expect.stringContaining("jetson/listenForLinks: a device's name has"),
  });
  await expect(
    listenForLinks({ port: listener.port, host, id: 'a', clock, randomBytes }),
  ).rejects.toMatchObject({
    code: 'JETSON_PORT_UNAVAILABLE',
    message: expect.stringContaining(`port ${listener.port}: it is in use; give another port`),
  });
});
