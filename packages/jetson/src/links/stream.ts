/** Streams of bytes over a connection: received for a while, or sent until a signal. */
import type { Socket } from 'node:net';

import { fitThroughput, type Throughput } from './fit-throughput.js';

const slots = 40;

interface ReceiveOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly seconds: number;
  /** Longest wait for the first byte. */
  readonly timeoutSeconds: number;
}

/** Measures what arrives in `seconds` from the first byte on; undefined if nothing comes or the connection ends before. */
export function receiveFor(
  socket: Socket,
  { clock, seconds, timeoutSeconds }: ReceiveOptions,
): Promise<Throughput | undefined> {
  return new Promise((resolve) => {
    const slotSeconds = seconds / slots;
    const bytesBySlot = new Array<number>(slots).fill(0);
    let start: number | undefined;
    let timer = setTimeout(() => {
      finish(false);
    }, timeoutSeconds * 1000);
    const onData = ({ length }: Buffer) => {
      const now = clock();
      if (start === undefined) {
        start = now;
        clearTimeout(timer);
        timer = setTimeout(() => {
          finish(true);
        }, seconds * 1000);
      }
      const slot = Math.floor((now - start) / slotSeconds);
      if (slot < slots) bytesBySlot[slot] = (bytesBySlot[slot] ?? 0) + length;
      else finish(true);
    };
    const onClose = () => {
      finish(false);
    };
    function finish(isComplete: boolean): void {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      socket.off('end', onClose);
      resolve(isComplete && start !== undefined ? fitThroughput(bytesBySlot, slotSeconds) : undefined);
    }
    socket.once('close', onClose);
    socket.once('end', onClose);
    socket.on('data', onData);
  });
}

interface SendOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly isOver: () => boolean;
  /** Unlimited if absent. */
  readonly bytesPerSecond?: number | undefined;
}

/** How often a limited sender or receiver of datagrams acts. */
export const tickSeconds = 0.005;

/** Sends until `isOver` or the end of the connection. */
export async function sendUntil(
  socket: Socket,
  { clock, isOver, bytesPerSecond = Infinity }: SendOptions,
): Promise<void> {
  const start = clock();
  let sent = 0;
  while (!isOver() && !socket.destroyed && socket.writable) {
    const due = bytesPerSecond * (clock() - start + tickSeconds) - sent;
    const size = Math.min(block.length, Math.floor(due));
    sent += size;
    if (size > 0 && !socket.write(block.subarray(0, size))) await drained(socket);
    // Writes that complete at once, one after another, would starve everything else in this process, even the end.
    await (size < block.length ? pause(tickSeconds) : new Promise(setImmediate));
  }
}

const drained = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const proceed = () => {
      socket.off('drain', proceed);
      socket.off('close', proceed);
      resolve();
    };
    socket.once('drain', proceed);
    socket.once('close', proceed);
  });

export const pause = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Incompressible bytes, because some tunnels compress. */
const block = Buffer.from(
  Uint8Array.from({ length: 1 << 16 }, (_, i) => (Math.imul(i ^ (i >>> 7), 2_654_435_761) >>> 13) & 0xff),
);
