/** A connection to a listening end for one measurement. */
import { connect, type Socket } from 'node:net';

import {
  isDeviceName,
  type LinkAnswer,
  type LinkRequest,
  linkProtocolVersion,
  openingLine,
  parseOpening,
  tokenBytes,
} from './link-protocol.js';
import { linkError } from './link-error.js';
import type { LinkEndpoint } from './parse-endpoint.js';
import { readLine } from './read-line.js';

interface SessionOptions {
  /** Longest silence. */
  readonly timeoutSeconds: number;
  readonly signal?: AbortSignal;
}

interface Session extends Disposable {
  readonly socket: Socket;
  readonly answer: LinkAnswer;
}

/** The command that runs the other end. */
const listening = '"contextlora profile --listen"';

/**
 * Connects and sends the request; disposing the session closes the connection.
 *
 * @throws JetsonError if nothing listens there, the host cannot be reached, or the other end is busy or of another protocol or version.
 */
export async function openSession(
  endpoint: LinkEndpoint,
  request: LinkRequest,
  { timeoutSeconds, signal }: SessionOptions,
): Promise<Session> {
  signal?.throwIfAborted();
  const socket = await openSocket(endpoint, timeoutSeconds);
  const stop = () => socket.destroy();
  signal?.addEventListener('abort', stop, { once: true });
  const dispose = () => {
    signal?.removeEventListener('abort', stop);
    socket.destroy();
  };
  try {
    socket.write(openingLine(request));
    const answer = await readAnswer(endpoint, socket, timeoutSeconds);
    signal?.throwIfAborted();
    return { socket, answer, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: `refused the connection; is ${listening} running there, on this port?`,
  EHOSTUNREACH: 'cannot be reached; is it on, and in the same network?',
  ENETUNREACH: 'cannot be reached; there is no route to its network from here',
  ENOTFOUND: 'is an unknown host; check the name, or give the address',
  EAI_AGAIN: 'could not be looked up; check the name, or give the address',
  ECONNRESET: 'closed the connection at once',
};

function openSocket(endpoint: LinkEndpoint, timeoutSeconds: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...endpoint, noDelay: true });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(
        linkError(
          'JETSON_LINK_UNREACHABLE',
          endpoint,
          `did not answer within ${timeoutSeconds} s; is it on, and does a firewall let this port through?`,
        ),
      );
    }, timeoutSeconds * 1000);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
    // Stays registered: a later error closes the socket, which ends every wait for it.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(
        linkError(
          'JETSON_LINK_UNREACHABLE',
          endpoint,
          reasons[error.code ?? ''] ?? `cannot be connected to: ${error.message}`,
          { cause: error },
        ),
      );
    });
  });
}

async function readAnswer(
  endpoint: LinkEndpoint,
  socket: Socket,
  timeoutSeconds: number,
): Promise<LinkAnswer> {
  const line = await readLine(socket, timeoutSeconds);
  const refused = (what: string) => linkError('JETSON_LINK_REFUSED', endpoint, what);
  const foreign = () => refused(`answers, but not as ${listening} does; check the port`);
  if (typeof line !== 'string')
    throw line.failure === 'timed out'
      ? refused(`accepted the connection but sent nothing within ${timeoutSeconds} s; is it ${listening}?`)
      : foreign();
  const opening = parseOpening(line);
  if (!opening) throw foreign();
  if (!('value' in opening))
    throw refused(
      `speaks version ${opening.version} of the protocol, this machine version ${linkProtocolVersion}; install the same release on both`,
    );
  const { id, error, udpPort, token } = opening.value;
  if (error === 'busy') throw refused('is busy with other measurements; try again later');
  if (typeof error === 'string') throw refused(`refuses: ${JSON.stringify(error.slice(0, 100))}`);
  const isPort = Number.isInteger(udpPort) && Number(udpPort) > 0 && Number(udpPort) < 65_536;
  const isToken = typeof token === 'string' && new RegExp(`^[0-9a-f]{${2 * tokenBytes}}$`).test(token);
  if (!isDeviceName(id) || (udpPort !== undefined && !(isPort && isToken))) throw foreign();
  return { id, ...(isPort && isToken && { udpPort: Number(udpPort), token }) };
}
