/** The latency of a link, from echoes. */
import type { Socket } from 'node:net';

import { linkError } from './link-error.js';
import type { CheckedLinkOptions } from './link-options.js';
import { openSession } from './open-session.js';
import type { LinkEndpoint } from './parse-endpoint.js';
import { quartilesByRank } from './quartiles-by-rank.js';

/** Half the time of an echo; `seconds` is the median. */
export interface Latency {
  readonly seconds: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly leastSeconds: number;
  readonly repetitions: number;
}

const echoBytes = 64;
const minimumEchoes = 5;

/** Sends small messages one at a time and halves the time of their echoes. */
export async function measureLatency(
  endpoint: LinkEndpoint,
  seconds: number,
  options: CheckedLinkOptions,
): Promise<{ peer: string; latency: Latency }> {
  const { clock, timeoutSeconds } = options;
  using session = await openSession(endpoint, { measure: 'latency', seconds }, options);
  const { socket, answer } = session;
  const message = Buffer.alloc(echoBytes, 1);
  const times: number[] = [];
  const start = clock();
  // The first echo warms up and does not count.
  for (let count = 0; count <= minimumEchoes || clock() - start < seconds; count++) {
    const sent = clock();
    socket.write(message);
    if (!(await arrived(socket, echoBytes, timeoutSeconds)))
      throw linkError('JETSON_LINK_BROKEN', endpoint, `stopped answering after ${count} echoes; try again`);
    if (count > 0) times.push((clock() - sent) / 2);
  }
  const { least, lowerQuartile, median, upperQuartile } = quartilesByRank(times);
  return {
    peer: answer.id,
    latency: {
      seconds: median,
      lowerQuartile,
      upperQuartile,
      leastSeconds: least,
      repetitions: times.length,
    },
  };
}

/** Waits for a number of bytes; false if the connection ends or the time runs out first. */
function arrived(socket: Socket, bytes: number, timeoutSeconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    let left = bytes;
    const finish = (isComplete: boolean) => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      resolve(isComplete);
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
