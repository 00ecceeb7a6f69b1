/** Values that come by themselves, as an iteration. */

export interface Queue<T> {
  push(value: T): void;
  /** Ends the iteration after what was pushed. */
  close(): void;
  /** Until the signal or the end. */
  values(signal: AbortSignal): AsyncGenerator<T, void>;
}

/** A queue for one reader. */
export function createQueue<T>(): Queue<T> {
  const waiting: T[] = [];
  let isClosed = false;
  let wake: () => void = () => undefined;
  return {
    push(value) {
      waiting.push(value);
      wake();
    },
    close() {
      isClosed = true;
      wake();
    },
    async *values(signal) {
      const onAbort = () => {
        wake();
      };
      signal.addEventListener('abort', onAbort);
      try {
        while (!signal.aborted) {
          if (waiting.length > 0) yield waiting.shift()!;
          else if (isClosed) return;
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
  };
}
