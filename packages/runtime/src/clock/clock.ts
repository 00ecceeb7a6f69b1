/** Time as an argument, so that tests and simulations have one of their own. */
import { setImmediate, setTimeout } from 'node:timers/promises';

export interface Clock {
  /** Seconds since some moment. */
  now(): number;
  /** Resolves after so many seconds, or as soon as the signal aborts. */
  sleep(seconds: number, signal?: AbortSignal): Promise<void>;
  /** Lets everything that has arrived be delivered. */
  turn(): Promise<void>;
}

/** The time of this process. */
export const realClock: Clock = {
  // Threads of a process have origins of their own.
  now: () => (performance.timeOrigin + performance.now()) / 1000,
  async sleep(seconds, signal) {
    await setTimeout(seconds * 1000, undefined, { ref: false, ...(signal ? { signal } : {}) }).catch(
      () => undefined,
    );
  },
  async turn() {
    await setImmediate();
  },
};
