/** The measuring end of a link: bandwidth both ways, latency, loss, and whether its directions share one medium. */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Socket } from 'node:net';

import { fitSharing, type Sharing } from './fit-sharing.js';
import {
  datagramBytes,
  longestSeconds,
  mostDatagrams,
  parseObject,
  plainAddress,
  readLine,
  tokenBytes,
} from './link-protocol.js';
import { type LinkEndpoint, linkError, openSession } from './open-session.js';
import { pause, receiveFor, sendUntil, type Throughput } from './stream-bytes.js';

export interface MeasureLinkOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** For all measurements of one call together; up to three waits of `timeoutSeconds` more where the other end hangs. */
  readonly budgetSeconds: number;
  /** Longest silence of the other end. */
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
}

/** Half of an echo's time. */
export interface Latency {
  readonly seconds: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly leastSeconds: number;
  readonly repetitions: number;
}

/** Shares of datagrams that did not arrive, 0 to 1. */
export interface Loss {
  readonly upload: number;
  readonly download: number;
  readonly datagrams: number;
}

/** `download` is towards this machine, `upload` towards the other. */
export interface MeasuredLink {
  /** What the other end calls itself. */
  readonly peer: string;
  readonly download: Throughput;
  readonly upload: Throughput;
  readonly latency: Latency;
  /** Missing where no datagram came back at all: a firewall, rather than a network that loses all. */
  readonly loss?: Loss;
  /** Of both directions at once: half-duplex media (Wi-Fi) divide their airtime between them. */
  readonly directions: Sharing;
}

type Direction = 'download' | 'upload';

/**
 * Measures the link to a listening end.
 *
 * @throws if the budget is below 0.5 s or above five minutes, nobody listens there, or the other end says nothing or nonsense.
 */
export async function measureLink(
  endpoint: LinkEndpoint,
  options: MeasureLinkOptions,
): Promise<MeasuredLink> {
  const asked = checkedOptions(options, 300);
  const share = (of: number) => Math.min(longestSeconds, of * asked.budgetSeconds);
  const { peer, latency } = await measureLatency(endpoint, share(0.1), asked);
  const download = await measureThroughput(endpoint, 'download', share(0.2), asked);
  const upload = await measureThroughput(endpoint, 'upload', share(0.2), asked);
  const bytesPerSecond = Math.min(download.bytesPerSecond, upload.bytesPerSecond);
  const loss = await measureLoss(endpoint, { seconds: share(0.2), bytesPerSecond, latency, ...asked });
  const directions = await measureAtOnce([endpoint, endpoint], [download, upload], share(0.2), {
    ...asked,
    loss: lossOf({ loss }),
  });
  return { peer, download, upload, latency, ...(loss && { loss }), directions };
}

/** The larger of a link's losses, 0 where they are unknown. */
export const lossOf = ({ loss }: { readonly loss?: Loss | undefined }): number =>
  Math.max(loss?.upload ?? 0, loss?.download ?? 0);

export interface MeasureSharingOptions extends MeasureLinkOptions {
  /** The larger loss of the two links, by {@link lossOf}; 0 when absent. */
  readonly loss?: number;
}

/**
 * Whether two links share a medium: receives from the first end while it sends to the second, and compares with each alone.
 *
 * One direction each way, because this machine's own port would be shared by two streams of one direction even on a switch.
 *
 * @throws as `measureLink` does.
 */
export async function measureSharing(
  endpoints: readonly [LinkEndpoint, LinkEndpoint],
  options: MeasureSharingOptions,
): Promise<Sharing> {
  const asked = checkedOptions(options, 180);
  const [first, second] = endpoints;
  const seconds = asked.budgetSeconds / 3;
  const alone = [
    await measureThroughput(first, 'download', seconds, asked),
    await measureThroughput(second, 'upload', seconds, asked),
  ] as const;
  return measureAtOnce(endpoints, alone, seconds, { ...asked, loss: options.loss ?? 0 });
}

/**
 * Of what each stream reaches alone. At full speed each stream's acknowledgements would wait in the queue that the other one fills, and the
 * two would slow each other down on any link.
 */
const offeredShare = 0.8;

/** Receives from the first while it sends to the second. */
async function measureAtOnce(
  [first, second]: readonly [LinkEndpoint, LinkEndpoint],
  [download, upload]: readonly [Throughput, Throughput],
  seconds: number,
  { loss, ...options }: Asked & { readonly loss: number },
): Promise<Sharing> {
  const alone = [download.bytesPerSecond, upload.bytesPerSecond] as const;
  const offered = [offeredShare * alone[0], offeredShare * alone[1]] as const;
  const [down, up] = await Promise.all([
    measureThroughput(first, 'download', seconds, { ...options, bytesPerSecond: offered[0] }),
    measureThroughput(second, 'upload', seconds, { ...options, bytesPerSecond: offered[1] }),
  ]);
  return fitSharing({ alone, offered, loss, together: [down.bytesPerSecond, up.bytesPerSecond] });
}

type Asked = MeasureLinkOptions & { readonly timeoutSeconds: number };

function checkedOptions(options: MeasureLinkOptions, mostSeconds: number): Asked {
  const { budgetSeconds, timeoutSeconds = 5 } = options;
  if (!(budgetSeconds >= 0.5 && budgetSeconds <= mostSeconds))
    throw new Error(
      `jetson/measureLink: budgetSeconds must be from 0.5 to ${mostSeconds}, got ${budgetSeconds}`,
    );
  return { ...options, timeoutSeconds };
}

const echoBytes = 64;
const fewestEchoes = 5;

async function measureLatency(
  endpoint: LinkEndpoint,
  seconds: number,
  options: Asked,
): Promise<{ peer: string; latency: Latency }> {
  const { clock, timeoutSeconds } = options;
  using session = await openSession(endpoint, { measure: 'latency', seconds }, options);
  const { socket, answer } = session;
  const message = Buffer.alloc(echoBytes, 1);
  const times: number[] = [];
  const start = clock();
  // The first warms up and does not count.
  for (let count = 0; count <= fewestEchoes || clock() - start < seconds; count++) {
    const sent = clock();
    socket.write(message);
    if (!(await arrived(socket, echoBytes, timeoutSeconds)))
      throw linkError(endpoint, `stopped answering after ${count} echoes; try again`);
    if (count > 0) times.push((clock() - sent) / 2);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.round(share * (times.length - 1))]!;
  return {
    peer: answer.id,
    latency: {
      seconds: at(0.5),
      lowerQuartile: at(0.25),
      upperQuartile: at(0.75),
      leastSeconds: at(0),
      repetitions: times.length,
    },
  };
}

/** Whether so many bytes come before it is too late. */
function arrived(socket: Socket, bytes: number, timeoutSeconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    let left = bytes;
    const finish = (isThere: boolean) => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      resolve(isThere);
    };
    const onData = ({ length }: Buffer) => {
      left -= length;
      if (left <= 0) finish(true);
    };
    const onClose = () => {
      finish(false);
    };
    const timer = setTimeout(onClose, timeoutSeconds * 1000);
    socket.on('data', onData);
    socket.once('close', onClose);
    if (socket.destroyed) onClose();
  });
}

async function measureThroughput(
  endpoint: LinkEndpoint,
  direction: Direction,
  seconds: number,
  options: Asked & { readonly bytesPerSecond?: number },
): Promise<Throughput> {
  const { clock, timeoutSeconds, bytesPerSecond } = options;
  const request = {
    measure: direction,
    seconds,
    ...(direction === 'download' && bytesPerSecond !== undefined && { bytesPerSecond }),
  };
  using session = await openSession(endpoint, request, options);
  const { socket } = session;
  if (direction === 'download') {
    const found = await receiveFor(socket, { clock, seconds, timeoutSeconds });
    if (found) return found;
    throw linkError(endpoint, `stopped sending before ${seconds.toFixed(1)} s were over; try again`);
  }
  let isOver = false;
  const sending = sendUntil(socket, { clock, isOver: () => isOver, bytesPerSecond });
  const line = await readLine(socket, seconds + timeoutSeconds);
  isOver = true;
  socket.destroy();
  await sending;
  const found = typeof line === 'string' ? parseThroughput(line) : undefined;
  if (found) return found;
  const failure = typeof line === 'string' ? 'nonsense' : line.failure;
  throw linkError(endpoint, `did not say how much arrived (${failure}); try again`);
}

function parseThroughput(line: string): Throughput | undefined {
  const { bytesPerSecond, lowerQuartile, upperQuartile, seconds } = parseObject(line) ?? {};
  const isRate = (value: unknown): value is number =>
    typeof value === 'number' && Number.isFinite(value) && value >= 0;
  return isRate(bytesPerSecond) &&
    bytesPerSecond > 0 &&
    isRate(lowerQuartile) &&
    isRate(upperQuartile) &&
    isRate(seconds)
    ? { bytesPerSecond, lowerQuartile, upperQuartile, seconds }
    : undefined;
}

interface LossOptions extends Asked {
  readonly seconds: number;
  readonly bytesPerSecond: number;
  readonly latency: Latency;
}

/** Datagrams fill a quarter of the slower direction: queues that overflow are no property of the link. */
const loadShare = 0.25;
const tickSeconds = 0.005;

/** Sends numbered datagrams that the other end counts and echoes once. */
async function measureLoss(
  endpoint: LinkEndpoint,
  { seconds, bytesPerSecond, latency, ...options }: LossOptions,
): Promise<Loss | undefined> {
  const { clock, timeoutSeconds, signal } = options;
  using session = await openSession(endpoint, { measure: 'loss', seconds }, options);
  const { socket, answer } = session;
  const { udpPort, token } = answer;
  if (udpPort === undefined || token === undefined)
    throw linkError(endpoint, 'named no port for datagrams; install the same release on both');
  const host = plainAddress(socket.remoteAddress);
  const datagrams = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const returned = new Set<number>();
  datagrams.on('error', () => undefined); // a refusal by ICMP: nothing comes back, which is seen below
  datagrams.on('message', (message, { address, port }) => {
    if (port !== udpPort || plainAddress(address) !== host || message.length !== datagramBytes) return;
    if (message.toString('hex', 0, tokenBytes) === token) returned.add(message.readUInt32BE(tokenBytes));
  });
  try {
    await new Promise<void>((resolve) => {
      datagrams.once('error', resolve);
      datagrams.bind(0, plainAddress(socket.localAddress), resolve);
    });
    const perSecond = Math.min(mostDatagrams / longestSeconds, (loadShare * bytesPerSecond) / datagramBytes);
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
      throw linkError(endpoint, 'did not say how many datagrams arrived; try again');
    const there = Number(received);
    const back = [...returned].filter((number) => number < count).length;
    if (back === 0 || back > there) return undefined;
    return { upload: 1 - there / count, download: 1 - back / there, datagrams: count };
  } finally {
    datagrams.close();
  }
}
