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
 * The rate by the bytes that arrived in equal slots of time. The first quarter does not count: a connection starts slowly.
 *
 * @throws if there are fewer than four slots or nothing arrived in those that count.
 */
export function fitThroughput(bytesBySlot: readonly number[], slotSeconds: number): Throughput {
  const steady = bytesBySlot.slice(Math.ceil(bytesBySlot.length / 4));
  const bytes = steady.reduce((sum, one) => sum + one, 0);
  if (bytesBySlot.length < 4 || !(bytes > 0) || !(slotSeconds > 0))
    throw new Error(
      `jetson/fitThroughput: ${bytes} bytes arrived in ${bytesBySlot.length} slots of ${slotSeconds} s; there is no rate to see. Measure longer`,
    );
  const sorted = steady.map((one) => one / slotSeconds).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  return {
    bytesPerSecond: bytes / (steady.length * slotSeconds),
    lowerQuartile: at(0.25),
    upperQuartile: at(0.75),
    seconds: steady.length * slotSeconds,
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
      const steady = bytesBySlot.slice(slotsOfWindow / 4).some((bytes) => bytes > 0);
      resolve(isComplete && steady ? fitThroughput(bytesBySlot, slotSeconds) : undefined);
    }
    socket.once('close', onClose);
    socket.once('end', onClose);
    socket.on('data', onData);
  });
}

/** Sends without a pause until told to stop, or until the connection ends. */
export async function sendUntil(socket: Socket, isOver: () => boolean): Promise<void> {
  while (!isOver() && !socket.destroyed && socket.writable)
    if (!socket.write(block))
      await new Promise<void>((resolve) => {
        const go = () => {
          socket.off('drain', go);
          socket.off('close', go);
          resolve();
        };
        socket.once('drain', go);
        socket.once('close', go);
      });
}

/** Bytes that do not compress: some tunnels would try. */
const block = Buffer.from(
  Uint8Array.from({ length: 1 << 16 }, (_, i) => (Math.imul(i ^ (i >>> 7), 2_654_435_761) >>> 13) & 0xff),
);
