/** The throughput of a link in one direction. */
import type { Throughput } from './fit-throughput.js';
import { linkError } from './link-error.js';
import type { CheckedLinkOptions } from './link-options.js';
import { parseObject } from './link-protocol.js';
import { openSession } from './open-session.js';
import type { LinkEndpoint } from './parse-endpoint.js';
import { readLine } from './read-line.js';
import { receiveFor, sendUntil } from './stream.js';

/** Receives or sends for `seconds`, at most at `bytesPerSecond`; the receiving end measures. */
export async function measureThroughput(
  endpoint: LinkEndpoint,
  direction: 'download' | 'upload',
  seconds: number,
  options: CheckedLinkOptions & { readonly bytesPerSecond?: number },
): Promise<Throughput> {
  const { clock, timeoutSeconds, bytesPerSecond } = options;
  const request = {
    measure: direction,
    seconds,
    ...(direction === 'download' && bytesPerSecond !== undefined && { bytesPerSecond }),
  };
  using session = await openSession(endpoint, request, options);
  const { socket } = session;
  const broken = (what: string) => linkError('JETSON_LINK_BROKEN', endpoint, what);
  if (direction === 'download') {
    const throughput = await receiveFor(socket, { clock, seconds, timeoutSeconds });
    if (throughput) return throughput;
    throw broken(`stopped sending before ${seconds.toFixed(1)} s were over; try again`);
  }
  let isOver = false;
  const sending = sendUntil(socket, { clock, isOver: () => isOver, bytesPerSecond });
  const line = await readLine(socket, seconds + timeoutSeconds);
  isOver = true;
  socket.destroy();
  await sending;
  const throughput = typeof line === 'string' ? parseThroughput(line) : undefined;
  if (throughput) return throughput;
  const failure = typeof line === 'string' ? 'nonsense' : line.failure;
  throw broken(`did not report how much arrived (${failure}); try again`);
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
