/** The share of datagrams that a link loses. */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

import { linkError } from './link-error.js';
import type { CheckedLinkOptions } from './link-options.js';
import {
  datagramBytes,
  maxDatagrams,
  maxSeconds,
  parseObject,
  plainAddress,
  tokenBytes,
} from './link-protocol.js';
import type { Latency } from './measure-latency.js';
import { openSession } from './open-session.js';
import type { LinkEndpoint } from './parse-endpoint.js';
import { readLine } from './read-line.js';
import { pause, tickSeconds } from './stream.js';

/** Shares of datagrams that did not arrive, 0 to 1. */
export interface Loss {
  readonly upload: number;
  readonly download: number;
  readonly datagrams: number;
}

/** Returns the larger of a link's losses, 0 if they are unknown. */
export const lossOf = ({ loss }: { readonly loss?: Loss | undefined }): number =>
  Math.max(loss?.upload ?? 0, loss?.download ?? 0);

interface LossOptions extends CheckedLinkOptions {
  /** Of the slower direction. */
  readonly bytesPerSecond: number;
  readonly latency: Latency;
}

/** Datagrams use a quarter of the slower direction, because an overflowing queue is not a property of the link. */
const loadShare = 0.25;

/** Sends numbered datagrams, which the other end counts and echoes once; undefined if none comes back. */
export async function measureLoss(
  endpoint: LinkEndpoint,
  seconds: number,
  { bytesPerSecond, latency, ...options }: LossOptions,
): Promise<Loss | undefined> {
  const { clock, timeoutSeconds, signal } = options;
  using session = await openSession(endpoint, { measure: 'loss', seconds }, options);
  const { socket, answer } = session;
  const { udpPort, token } = answer;
  if (udpPort === undefined || token === undefined)
    throw linkError(
      'JETSON_LINK_REFUSED',
      endpoint,
      'named no port for datagrams; install the same release on both',
    );
  const host = plainAddress(socket.remoteAddress);
  const datagrams = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const echoed = new Set<number>();
  datagrams.on('error', () => undefined); // ICMP refusals: nothing comes back, which is handled below
  datagrams.on('message', (message, { address, port }) => {
    if (port !== udpPort || plainAddress(address) !== host || message.length !== datagramBytes) return;
    if (message.toString('hex', 0, tokenBytes) === token) echoed.add(message.readUInt32BE(tokenBytes));
  });
  try {
    await new Promise<void>((resolve) => {
      datagrams.once('error', resolve);
      datagrams.bind(0, plainAddress(socket.localAddress), resolve);
    });
    const perSecond = Math.min(maxDatagrams / maxSeconds, (loadShare * bytesPerSecond) / datagramBytes);
    const count = Math.max(1, Math.floor(perSecond * seconds));
    const start = clock();
    let sent = 0;
    while (sent < count && signal?.aborted !== true) {
      const due = Math.min(count, 1 + (clock() - start) * perSecond);
      for (; sent < due; sent++) {
        const datagram = Buffer.alloc(datagramBytes);
        datagram.write(token, 'hex');
        datagram.writeUInt32BE(sent, tokenBytes);
        datagrams.send(datagram, udpPort, host);
      }
      await pause(tickSeconds);
    }
    await pause(Math.min(timeoutSeconds, 0.1 + 8 * latency.upperQuartile));
    socket.write('\n');
    const line = await readLine(socket, timeoutSeconds);
    const { received } = (typeof line === 'string' ? parseObject(line) : undefined) ?? {};
    if (!(Number.isInteger(received) && Number(received) >= 0 && Number(received) <= count))
      throw linkError('JETSON_LINK_BROKEN', endpoint, 'did not report how many datagrams arrived; try again');
    const arrived = Number(received);
    const returned = [...echoed].filter((number) => number < count).length;
    if (returned === 0 || returned > arrived) return undefined;
    return { upload: 1 - arrived / count, download: 1 - returned / arrived, datagrams: count };
  } finally {
    datagrams.close();
  }
}
