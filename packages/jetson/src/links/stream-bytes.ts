/** Bytes that arrive per second over a connection, counted where they arrive. */
import type { Socket } from 'node:net';

/** Bytes per second of what a program sends, without headers and what was sent again; quartiles are of time slots. */
export interface Throughput {
  readonly bytesPerSecond: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly seconds: number;
}

export const slotsOfWindow = 40;

/**
 * The rate by the bytes that arrived in equal slots of time. The first quarter does not count, because a connection starts slowly, unless
 * nothing came after it: a link that stalls.
 *
 * @throws if there are fewer than four slots or nothing arrived at all.
 */
export function fitThroughput(bytesBySlot: readonly number[], slotSeconds: number): Throughput {
  const later = bytesBySlot.slice(Math.ceil(bytesBySlot.length / 4));
  const counted = later.some((bytes) => bytes > 0) ? later : bytesBySlot;
  const bytes = counted.reduce((sum, one) => sum + one, 0);
  if (bytesBySlot.length < 4 || !(bytes > 0) || !(slotSeconds > 0))
    throw new Error(
      `jetson/fitThroughput: ${bytes} bytes arrived in ${bytesBySlot.length} slots of ${slotSeconds} s; there is no rate to see. Measure longer`,
    );
  const sorted = counted.map((one) => one / slotSeconds).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  return {
    bytesPerSecond: bytes / (counted.length * slotSeconds),
    lowerQuartile: at(0.25),
    upperQuartile: at(0.75),
    seconds: counted.length * slotSeconds,
  };
}

export interface ReceiveOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly seconds: number;
  /** Most time until the first byte. */
  readonly timeoutSeconds: number;
}

/** Counts what arrives for so many seconds from the first byte on; undefined when nothing came or the connection ended before. */
export function receiveFor(
  socket: Socket,
  { clock, seconds, timeoutSeconds }: ReceiveOptions,
): Promise<Throughput | undefined> {
  return new Promise((resolve) => {
    const slotSeconds = seconds / slotsOfWindow;
    const bytesBySlot = new Array<number>(slotsOfWindow).fill(0);
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
      if (slot < slotsOfWindow) bytesBySlot[slot]! += length;
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

export interface SendOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  readonly isOver: () => boolean;
  /** As fast as it goes when absent. */
  readonly bytesPerSecond?: number | undefined;
}

const tickSeconds = 0.005;

/** Sends until told to stop, or until the connection ends. */
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
    // Writes that end at once, one after the other, would let nothing else run in this process, not even the end.
    await (size < block.length ? pause(tickSeconds) : new Promise(setImmediate));
  }
}

const drained = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const go = () => {
      socket.off('drain', go);
      socket.off('close', go);
      resolve();
    };
    socket.once('drain', go);
    socket.once('close', go);
  });

export const pause = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Bytes that do not compress: some tunnels would try. */
const block = Buffer.from(
  Uint8Array.from({ length: 1 << 16 }, (_, i) => (Math.imul(i ^ (i >>> 7), 2_654_435_761) >>> 13) & 0xff),
);
