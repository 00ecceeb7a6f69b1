/** Waiting that can be stopped. */
import { RuntimeError } from '../runtime-error.js';

export const aborted = (): RuntimeError =>
  new RuntimeError('RUNTIME_ABORTED', 'executeProgram', 'waiting was stopped');

/** The promise's value. @throws RuntimeError (`RUNTIME_ABORTED`) when the signal comes first. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(aborted());
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
    stopped.catch(() => undefined);
    promise.catch(() => undefined);
  }
}
