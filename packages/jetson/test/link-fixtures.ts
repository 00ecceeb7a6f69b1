import { randomBytes } from 'node:crypto';
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

import { type LinkListener, listenForLinks, type ListenOptions } from '@contextlora/jetson';

export const host = '127.0.0.1';
export const clock = () => performance.now() / 1000;

export const listen = (options: Partial<ListenOptions> = {}): Promise<LinkListener> =>
  listenForLinks({ port: 0, host, id: 'orin', clock, randomBytes, ...options });

/** A TCP server with the given behaviour. */
export async function serve(handle: (socket: Socket) => void): Promise<{ port: number } & AsyncDisposable> {
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

/**
 * A clock that emulated links move: bytes take the time that they would take on a slow link, and idle time passes four times as fast.
 *
 * A busy machine delays bytes but not this clock, so that measured rates do not depend on it.
 */
export function emulatedTime() {
  let now = 0;
  let isIdle = true;
  const idling = setInterval(() => {
    if (isIdle) now += 0.004;
    isIdle = true;
  }, 1);
  return {
    clock: () => now,
    advance: (seconds: number) => {
      now += seconds;
      isIdle = false;
    },
    [Symbol.dispose]: () => {
      clearInterval(idling);
    },
  };
}

interface LinkProperties {
  /** Bytes per second. */
  readonly download: number;
  readonly upload: number;
  /** One way, by the number of the short message on this link. */
  readonly latencyOf?: (message: number) => number;
  /** Whether a datagram arrives. */
  readonly delivers?: (number: number, direction: 'download' | 'upload') => boolean;
}

/** A link with known properties to the listener at `port`; it moves the clock instead of waiting. */
export async function emulateLink(
  port: number,
  advance: (seconds: number) => void,
  { download, upload, latencyOf = () => 0, delivers = () => true }: LinkProperties,
): Promise<{ port: number } & AsyncDisposable> {
  const relays: DatagramSocket[] = [];
  let messages = 0;
  const forward = (from: Socket, to: Socket, bytesPerSecond: number, edit = (chunk: Buffer) => chunk) => {
    from.on('data', (chunk: Buffer) => {
      // Only short messages wait for the latency: a stream fills the link.
      advance(chunk.length / bytesPerSecond + (chunk.length < 1000 ? latencyOf(messages++) : 0));
      if (!to.destroyed) to.write(edit(chunk));
    });
    from.on('close', () => {
      to.destroySoon();
    });
  };
  const server = await serve((socket) => {
    socket.setNoDelay(true);
    const relay = createSocket('udp4');
    relays.push(relay);
    relay.bind(0, host, () => {
      const onward = connect({ host, port, noDelay: true });
      onward.on('error', () => undefined);
      forward(socket, onward, upload);
      forward(onward, socket, download, (chunk) => {
        const text = chunk.toString('latin1');
        const [, before = '', udpPort] = /^(contextlora-link .*"udpPort":)(\d+)/.exec(text) ?? [];
        if (udpPort === undefined) return chunk;
        relayDatagrams(relay, Number(udpPort), delivers);
        return Buffer.from(
          `${before}${relay.address().port}${text.slice(before.length + udpPort.length)}`,
          'latin1',
        );
      });
    });
  });
  return {
    port: server.port,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      for (const relay of relays) relay.close();
    },
  };
}

function relayDatagrams(
  relay: DatagramSocket,
  serverPort: number,
  delivers: NonNullable<LinkProperties['delivers']>,
): void {
  let clientPort = 0;
  relay.on('message', (message, { port }) => {
    const direction = port === serverPort ? 'download' : 'upload';
    if (direction === 'upload') clientPort = port;
    if (delivers(message.readUInt32BE(16), direction))
      relay.send(message, direction === 'upload' ? serverPort : clientPort, host);
  });
}
