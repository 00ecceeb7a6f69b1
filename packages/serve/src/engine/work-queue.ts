/** Work that waits to be done together with other work. */

export interface Job<In, Out> {
  readonly work: In;
  readonly signal: AbortSignal;
  done(result: Out): void;
  fail(error: unknown): void;
}

export interface WorkQueue<In, Out> {
  readonly size: number;
  /** Resolves with what becomes of the work; rejects with the signal's reason as soon as it aborts. */
  add(work: In, signal: AbortSignal): Promise<Out>;
  /** Takes out the oldest jobs, at most as many, without those that nobody waits for any more. */
  take(count: number): Job<In, Out>[];
}

export function openWorkQueue<In, Out>(onAdd: () => void): WorkQueue<In, Out> {
  let jobs: Job<In, Out>[] = [];
  return {
    get size() {
      return jobs.length;
    },
    add(work, signal) {
      return new Promise<Out>((resolve, reject) => {
        signal.throwIfAborted();
        const abort = () => {
          reject(signal.reason as Error);
        };
        signal.addEventListener('abort', abort, { once: true });
        const settled =
          <T>(settle: (value: T) => void) =>
          (value: T) => {
            signal.removeEventListener('abort', abort);
            settle(value);
          };
        jobs.push({ work, signal, done: settled(resolve), fail: settled(reject) });
        onAdd();
      });
    },
    take(count) {
      const waiting = jobs.filter(({ signal }) => !signal.aborted);
      jobs = waiting.slice(count);
      return waiting.slice(0, count);
    },
  };
}
