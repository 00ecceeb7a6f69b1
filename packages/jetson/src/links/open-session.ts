/** A connection to a listening end, opened for one measurement. */
import { connect, type Socket } from 'node:net';

import {
  isDeviceName,
  type LinkAnswer,
  type LinkRequest,
  linkProtocolVersion,
  openingLine,
  parseOpening,
  readLine,
  tokenBytes,
} from './link-protocol.js';

export interface LinkEndpoint {
  readonly host: string;
  readonly port: number;
}

export interface SessionOptions {
  /** Longest silence. */
  readonly timeoutSeconds: number;
  readonly signal?: AbortSignal;
}

export interface Session extends Disposable {
  readonly socket: Socket;
  readonly answer: LinkAnswer;
}

const nameOf = ({ host, port }: LinkEndpoint) =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

const listening = '"contextlora profile --listen"';

/** An error of a link, with the endpoint's name before what went wrong. */
export const linkError = (endpoint: LinkEndpoint, what: string, cause?: unknown): Error =>
  new Error(`jetson/measureLink: ${nameOf(endpoint)} ${what}`, cause === undefined ? {} : { cause });

/** @throws if nobody listens there, the host is not reached, or what answers is something else, of another version, or busy. */
export async function openSession(
  endpoint: LinkEndpoint,
  request: LinkRequest,
  { timeoutSeconds, signal }: SessionOptions,
): Promise<Session> {
  signal?.throwIfAborted();
  const socket = await connected(endpoint, timeoutSeconds);
  const stop = () => socket.destroy();
  signal?.addEventListener('abort', stop, { once: true });
  const dispose = () => {
    signal?.removeEventListener('abort', stop);
    socket.destroy();
  };
  try {
    socket.write(openingLine(request));
    const answer = await answerOf(endpoint, socket, timeoutSeconds);
    signal?.throwIfAborted();
    return { socket, answer, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: `refused the connection; is ${listening} running there, on this port?`,
  EHOSTUNREACH: 'is not reached; is it on, and in the same network?',
  ENETUNREACH: 'is not reached; there is no way to this network from here',
  ENOTFOUND: 'is no known host; check the name, or give the address',
  EAI_AGAIN: 'could not be looked up; check the name, or give the address',
  ECONNRESET: 'closed the connection at once',
};

function connected(endpoint: LinkEndpoint, timeoutSeconds: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...endpoint, noDelay: true });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(
        linkError(
          endpoint,
          `did not answer within ${timeoutSeconds} s; is it on, and does a firewall let this port through?`,
        ),
      );
    }, timeoutSeconds * 1000);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
    // Stays on: an error later on closes the socket, and whoever waits sees that.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(
        linkError(endpoint, reasons[error.code ?? ''] ?? `cannot be connected to: ${error.message}`, error),
      );
    });
  });
}

async function answerOf(endpoint: LinkEndpoint, socket: Socket, timeoutSeconds: number): Promise<LinkAnswer> {
  const line = await readLine(socket, timeoutSeconds);
  const stranger = () => linkError(endpoint, `answers, but not as ${listening} does; check the port`);
  if (typeof line !== 'string')
    throw line.failure === 'timed out'
      ? linkError(
          endpoint,
          `took the connection but said nothing within ${timeoutSeconds} s; is it ${listening}?`,
        )
      : stranger();
  const opening = parseOpening(line);
  if (!opening) throw stranger();
  if (!('value' in opening))
    throw linkError(
      endpoint,
      `speaks version ${opening.version} of the protocol, this machine version ${linkProtocolVersion}; install the same release on both`,
    );
  const { id, error, udpPort, token } = opening.value;
  if (error === 'busy') throw linkError(endpoint, 'measures with others already; try again later');
  if (typeof error === 'string') throw linkError(endpoint, `refuses: ${JSON.stringify(error.slice(0, 100))}`);
  const isPort = Number.isInteger(udpPort) && Number(udpPort) > 0 && Number(udpPort) < 65_536;
  const isToken = typeof token === 'string' && new RegExp(`^[0-9a-f]{${2 * tokenBytes}}$`).test(token);
  if (!isDeviceName(id) || (udpPort !== undefined && !(isPort && isToken))) throw stranger();
  return { id, ...(isPort && isToken && { udpPort: Number(udpPort), token }) };
}
