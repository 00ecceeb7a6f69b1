/** How many requests are under way, and how long each may be. */
import { ServeError } from '../serve-error.js';
import type { ServerLimits } from '../server-options.js';

export interface Admission {
  readonly inFlight: number;
  readonly isClosing: boolean;
  /**
   * Lets a request in. Its signal aborts when its time is over, its caller has left, or `abort` is called.
   *
   * @throws ServeError (`SERVE_BUSY`, `SERVE_CLOSING`)
   */
  enter(caller: AbortSignal): Admitted;
  /** Lets nobody in any more; resolves when all have left. */
  close(): Promise<void>;
  /** Ends all that are under way. */
  abort(): void;
}

interface Admitted {
  readonly signal: AbortSignal;
  readonly leave: () => void;
}

export function openAdmission({
  maximumRequests,
  maximumSeconds,
}: Pick<ServerLimits, 'maximumRequests' | 'maximumSeconds'>): Admission {
  const inside = new Set<AbortController>();
  let onEmpty: (() => void) | undefined;
  const closing = () => new ServeError('SERVE_CLOSING', 'server', 'the server shuts down; try again soon');
  return {
    get inFlight() {
      return inside.size;
    },
    get isClosing() {
      return onEmpty !== undefined;
    },
    enter(caller) {
      if (onEmpty) throw closing();
      if (inside.size >= maximumRequests)
        throw new ServeError(
          'SERVE_BUSY',
          'server',
          `${maximumRequests} requests are under way, the most that this server takes; try again soon`,
        );
      const controller = new AbortController();
      const timer = setTimeout(() => {
        controller.abort(
          new ServeError(
            'SERVE_TIMEOUT',
            'server',
            `there was no answer within ${maximumSeconds} s; try again, or ask for fewer tokens`,
          ),
        );
      }, maximumSeconds * 1000);
      const left = () => {
        controller.abort(new ServeError('SERVE_CALLER_LEFT', 'server', 'the caller closed the connection'));
      };
      if (caller.aborted) left();
      else caller.addEventListener('abort', left, { once: true });
      inside.add(controller);
      return {
        signal: controller.signal,
        leave() {
          clearTimeout(timer);
          caller.removeEventListener('abort', left);
          inside.delete(controller);
          if (inside.size === 0) onEmpty?.();
        },
      };
    },
    close() {
      return new Promise((resolve) => {
        onEmpty = resolve;
        if (inside.size === 0) resolve();
      });
    },
    abort() {
      for (const controller of inside) controller.abort(closing());
    },
  };
}
