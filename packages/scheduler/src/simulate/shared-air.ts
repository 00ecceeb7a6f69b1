/**
 * A medium whose transfers divide its airtime evenly (processor sharing).
 *
 * In virtual time, which runs at 1 / (number of transfers), every transfer takes its own airtime; so the next to end is the one with
 * the least virtual end, and one heap answers everything.
 */
import { createEventQueue } from './event-queue.js';

interface SharedAir {
  /** Starts a transfer that would take `seconds` alone. */
  begin(now: number, seconds: number, transfer: number): void;
  /** When the next transfer ends if none begins before; Infinity when the air is free. */
  nextEnd(): number;
  /** Takes out the transfer that ends next. */
  end(now: number): number;
  /** Counts changes, so that an older forecast can be recognised. */
  readonly version: number;
}

export function createSharedAir(): SharedAir {
  const queue = createEventQueue();
  let virtual = 0;
  let last = 0;
  let version = 0;
  const advance = (now: number) => {
    if (queue.size > 0) virtual += (now - last) / queue.size;
    last = now;
  };
  return {
    begin(now, seconds, transfer) {
      advance(now);
      queue.push(virtual + seconds, transfer);
      version += 1;
    },
    nextEnd: () =>
      queue.size === 0 ? Infinity : last + Math.max(0, queue.nextTime() - virtual) * queue.size,
    end(now) {
      advance(now);
      virtual = Math.max(virtual, queue.nextTime());
      version += 1;
      return queue.pop();
    },
    get version() {
      return version;
    },
  };
}
