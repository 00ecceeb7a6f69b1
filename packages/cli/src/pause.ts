/** Waiting that Ctrl-C can end. */
import { setTimeout } from 'node:timers/promises';

/** A pause that an abort ends early. */
export const pause = (signal: AbortSignal) => (seconds: number) =>
  setTimeout(seconds * 1000, undefined, { signal }).catch(() => undefined);
