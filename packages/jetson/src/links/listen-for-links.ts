/** The listening end of link measurements. */
import { createSocket } from 'node:dgram';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';

import {
  datagramBytes,
  isDeviceName,
  linkProtocolVersion,
  type LinkRequest,
  mostDatagrams,
  openingLine,
  parseOpening,
  parseRequest,
  plainAddress,
  readLine,
  tokenBytes,
} from './link-protocol.js';
import { receiveFor, sendUntil } from './stream-bytes.js';

export interface ListenOptions {
  /** 0 takes any free port. */
  readonly port: number;
  /** All of the machine's addresses when absent. */
  readonly host?: string;
  /** What this device is called in clusters: letters, digits, `_`, `.` and `-`. */
  readonly id: string;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Unpredictable bytes, by which datagrams of a session are told from others. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Connections served at a time; others are told that it is busy. */
  readonly mostConnections?: number;
  /** Longest silence. */
  readonly timeoutSeconds?: number;
}

export interface LinkListener extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves measurements until it is disposed. Whoever reaches the port may measure; a connection gets no more than its seconds and a margin,
 * and the echo of datagrams goes only where its connection comes from.
 *
 * @throws if the name is none, or the port cannot be had.
 */
export async function listenForLinks(options: ListenOptions): Promise<LinkListener> {
  const { port, host, id, mostConnections = 8, timeoutSeconds = 10 } = options;
  if (!isDeviceName(id))
    throw new Error(
      `jetson/listenForLinks: a device's name has 1 to 64 letters, digits, "_", "." or "-", got ${JSON.stringify(id)}`,
    );
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    const isBusy = sockets.size >= mostConnections;
    sockets.add(socket);
    socket.on('error', () => undefined); // 'close' follows, and nothing else is left to do
    socket.once('close', () => sockets.delete(socket));
    socket.setTimeout(timeoutSeconds * 1000, () => socket.destroy());
    serve(socket, { ...options, timeoutSeconds, isBusy })
      .catch(() => undefined)
      .finally(() => {
        socket.destroySoon();
      });
  });
  await listen(server, port, host);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const listen = (server: Server, port: number, host: string | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why: Record<string, string> = {
        EADDRINUSE: 'something listens there already; give another port',
        EACCES: 'ports below 1024 need root; give another port',
        EADDRNOTAVAIL: 'this machine has no such address',
      };
      reject(
        new Error(
          `jetson/listenForLinks: cannot listen on ${host === undefined ? '' : `${host}, `}port ${port}: ${why[error.code ?? ''] ?? error.message}`,
          { cause: error },
        ),
      );
    });
    server.listen({ port, ...(host !== undefined && { host }) }, resolve);
  });

interface ServeOptions extends ListenOptions {
  readonly timeoutSeconds: number;
  readonly isBusy: boolean;
}

async function serve(socket: Socket, options: ServeOptions): Promise<void> {
  const { id, timeoutSeconds, isBusy } = options;
  const line = await readLine(socket, timeoutSeconds);
  const opening = typeof line === 'string' ? parseOpening(line) : undefined;
  // Who speaks another protocol gets no answer.
  if (!opening) {
    socket.destroy();
    return;
  }
  const refuse = (error: string) => socket.end(openingLine({ error }));
  if (!('value' in opening)) refuse(`this end speaks version ${linkProtocolVersion}`);
  else if (isBusy) refuse('busy');
  else {
    const request = parseRequest(opening.value);
    if (!request) refuse('cannot serve this request');
    else {
      const deadline = setTimeout(() => socket.destroy(), (request.seconds + 2 * timeoutSeconds) * 1000);
      try {
        await measures[request.measure](socket, { ...options, request, answer: { id } });
      } finally {
        clearTimeout(deadline);
      }
    }
  }
}

interface MeasureOptions extends ServeOptions {
  readonly request: LinkRequest;
  readonly answer: { readonly id: string };
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed || socket.readableEnded) resolve();
    socket.once('close', resolve);
    socket.once('end', resolve);
  });

const measures: Readonly<
  Record<LinkRequest['measure'], (socket: Socket, options: MeasureOptions) => Promise<void>>
> = {
  async latency(socket, { answer }) {
    socket.write(openingLine(answer));
    socket.pipe(socket);
    await closed(socket);
  },

  async download(socket, { answer, request, clock }) {
    socket.write(openingLine(answer));
    socket.resume();
    const end = clock() + request.seconds + 2;
    await sendUntil(socket, { clock, isOver: () => clock() > end, bytesPerSecond: request.bytesPerSecond });
  },

  async upload(socket, { answer, request, clock, timeoutSeconds }) {
    socket.write(openingLine(answer));
    const found = await receiveFor(socket, { clock, seconds: request.seconds, timeoutSeconds });
    if (!found) return;
    socket.write(`${JSON.stringify(found)}\n`);
    // Closing with unread bytes would reset the connection and lose the line.
    socket.resume();
    await closed(socket);
  },

  async loss(socket, { answer, randomBytes }) {
    const from = plainAddress(socket.remoteAddress);
    const token = Buffer.from(randomBytes(tokenBytes));
    const seen = new Set<number>();
    const datagrams = createSocket(isIPv6(from) ? 'udp6' : 'udp4');
    datagrams.on('error', () => undefined);
    datagrams.on('message', (message, { address, port }) => {
      if (plainAddress(address) !== from || message.length !== datagramBytes) return;
      if (!message.subarray(0, tokenBytes).equals(token)) return;
      const number = message.readUInt32BE(tokenBytes);
      // Each is echoed once: this end never sends more than it was sent.
      if (number >= mostDatagrams || seen.has(number)) return;
      seen.add(number);
      datagrams.send(message, port, address);
    });
    try {
      await new Promise<void>((resolve, reject) => {
        datagrams.once('error', reject);
        datagrams.bind(0, plainAddress(socket.localAddress), resolve);
      });
      socket.write(
        openingLine({ ...answer, udpPort: datagrams.address().port, token: token.toString('hex') }),
      );
      await new Promise<void>((resolve) => {
        socket.once('data', () => {
          resolve();
        });
        void closed(socket).then(resolve);
      });
      socket.end(`${JSON.stringify({ received: seen.size })}\n`);
    } finally {
      datagrams.close();
    }
  },
};
