/** The listening end of link measurements. */
import { createServer, type Server, type Socket } from 'node:net';

import { JetsonError } from '../jetson-error.js';
import {
  isDeviceName,
  linkProtocolVersion,
  openingLine,
  parseOpening,
  parseRequest,
} from './link-protocol.js';
import { readLine } from './read-line.js';
import { serveMeasurement } from './serve-measurement.js';

export interface ListenOptions {
  /** 0 picks a free port. */
  readonly port: number;
  /** All addresses of the machine if absent. */
  readonly host?: string;
  /** This device's name in clusters: letters, digits, `_`, `.` and `-`. */
  readonly id: string;
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Unpredictable bytes that mark the datagrams of a session. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Connections served at a time; others get the answer `busy`. */
  readonly maxConnections?: number;
  /** Longest silence. */
  readonly timeoutSeconds?: number;
}

export interface LinkListener extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves measurements until it is disposed.
 *
 * Anyone who reaches the port may measure. A connection is closed after its seconds and a margin, and datagrams are echoed only to the
 * address that it comes from.
 *
 * @throws JetsonError if the name is invalid or the port is not available.
 */
export async function listenForLinks(options: ListenOptions): Promise<LinkListener> {
  const { port, host, id, maxConnections = 8, timeoutSeconds = 10 } = options;
  if (!isDeviceName(id))
    throw new JetsonError(
      'JETSON_ARGUMENT_INVALID',
      'listenForLinks',
      `a device's name has 1 to 64 letters, digits, "_", "." or "-", got ${JSON.stringify(id)}`,
    );
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    const isBusy = sockets.size >= maxConnections;
    sockets.add(socket);
    socket.on('error', () => undefined); // 'close' follows
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
        EADDRINUSE: 'it is in use; give another port',
        EACCES: 'ports below 1024 need root; give another port',
        EADDRNOTAVAIL: 'this machine has no such address',
      };
      reject(
        new JetsonError(
          'JETSON_PORT_UNAVAILABLE',
          'listenForLinks',
          `cannot listen on ${host === undefined ? '' : `${host}, `}port ${port}: ${why[error.code ?? ''] ?? error.message}`,
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
  const { timeoutSeconds, isBusy } = options;
  const line = await readLine(socket, timeoutSeconds);
  const opening = typeof line === 'string' ? parseOpening(line) : undefined;
  // Other protocols get no answer.
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
        await serveMeasurement(socket, request, options);
      } finally {
        clearTimeout(deadline);
      }
    }
  }
}
