/** What the listening end does in each measurement. */
import { createSocket } from 'node:dgram';
import { isIPv6, type Socket } from 'node:net';

import {
  datagramBytes,
  type LinkRequest,
  maxDatagrams,
  openingLine,
  plainAddress,
  tokenBytes,
} from './link-protocol.js';
import { receiveFor, sendUntil } from './stream.js';

interface MeasurementOptions {
  /** This device's name. */
  readonly id: string;
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly timeoutSeconds: number;
}

/** Answers a request and serves it until the client closes the connection. */
export const serveMeasurement = (
  socket: Socket,
  request: LinkRequest,
  options: MeasurementOptions,
): Promise<void> => measurements[request.measure](socket, request, options);

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed || socket.readableEnded) resolve();
    socket.once('close', resolve);
    socket.once('end', resolve);
  });

const measurements: Readonly<Record<LinkRequest['measure'], typeof serveMeasurement>> = {
  async latency(socket, _, { id }) {
    socket.write(openingLine({ id }));
    socket.pipe(socket);
    await closed(socket);
  },

  async download(socket, { seconds, bytesPerSecond }, { id, clock }) {
    socket.write(openingLine({ id }));
    socket.resume();
    const end = clock() + seconds + 2;
    await sendUntil(socket, { clock, isOver: () => clock() > end, bytesPerSecond });
  },

  async upload(socket, { seconds }, { id, clock, timeoutSeconds }) {
    socket.write(openingLine({ id }));
    const throughput = await receiveFor(socket, { clock, seconds, timeoutSeconds });
    if (!throughput) return;
    socket.write(`${JSON.stringify(throughput)}\n`);
    // Closing with unread bytes would reset the connection and lose the line.
    socket.resume();
    await closed(socket);
  },

  async loss(socket, _, { id, randomBytes }) {
    const from = plainAddress(socket.remoteAddress);
    const token = Buffer.from(randomBytes(tokenBytes));
    const received = new Set<number>();
    const datagrams = createSocket(isIPv6(from) ? 'udp6' : 'udp4');
    datagrams.on('error', () => undefined);
    datagrams.on('message', (message, { address, port }) => {
      if (plainAddress(address) !== from || message.length !== datagramBytes) return;
      if (!message.subarray(0, tokenBytes).equals(token)) return;
      const number = message.readUInt32BE(tokenBytes);
      // Echoing each once keeps this end from ever sending more than it received.
      if (number >= maxDatagrams || received.has(number)) return;
      received.add(number);
      datagrams.send(message, port, address);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        datagrams.once('error', reject);
        datagrams.bind(0, plainAddress(socket.localAddress), resolve);
      });
      socket.write(openingLine({ id, udpPort: datagrams.address().port, token: token.toString('hex') }));
      await new Promise<void>((resolve) => {
        socket.once('data', () => {
          resolve();
        });
        void closed(socket).then(resolve);
      });
      socket.end(`${JSON.stringify({ received: received.size })}\n`);
    } finally {
      datagrams.close();
    }
  },
};
