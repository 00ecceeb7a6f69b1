/** A clock that moves on when nothing else can happen. */
import { setImmediate } from 'node:timers/promises';

import type { Clock } from '@contextlora/runtime';

export interface VirtualClock extends Clock {
  /** Plays until the promise is settled. @throws when nothing can happen any more, or not within so many seconds */
  play<T>(promise: Promise<T>, limitSeconds: number): Promise<T>;
}

export function virtualClock(): VirtualClock {
  let now = 0;
  let order = 0;
  const sleepers: { readonly at: number; readonly order: number; readonly wake: () => void }[] = [];
  return {
    now: () => now,
    turn: () => Promise.resolve(),
    sleep: (seconds, signal) =>
      new Promise((resolve) => {
        const sleeper = {
          at: now + seconds,
          order: order++,
          wake() {
            signal?.removeEventListener('abort', stop);
            resolve();
          },
        };
        const stop = () => {
          sleepers.splice(sleepers.indexOf(sleeper), 1);
          resolve();
        };
        if (signal?.aborted) resolve();
        else {
          signal?.addEventListener('abort', stop, { once: true });
          sleepers.push(sleeper);
        }
      }),
    async play(promise, limitSeconds) {
      let isSettled = false;
      const settled = () => {
        isSettled = true;
      };
      promise.then(settled, settled);
      const isOver = () => isSettled;
      // Everything but time happens in microtasks, which have all run when a macrotask begins.
      for (;;) {
        await setImmediate();
        if (isOver()) break;
        const next = sleepers.reduce<(typeof sleepers)[number] | undefined>(
          (first, one) =>
            !first || one.at < first.at || (one.at === first.at && one.order < first.order) ? one : first,
          undefined,
        );
        if (!next) throw new Error(`hang: nothing can happen any more, at ${now.toFixed(2)} s`);
        if (next.at > limitSeconds) throw new Error(`hang: still going on after ${limitSeconds} s`);
        sleepers.splice(sleepers.indexOf(next), 1);
        now = Math.max(now, next.at);
        next.wake();
      }
      return promise;
    },
  };
}
