/** Emscripten's listeners for uncaught errors, which hide where an error came from. */

const events = ['uncaughtException', 'unhandledRejection'] as const;

/** A function that does nothing but throw its argument, unless it is of one class: minified or not. */
const onlyRethrows =
  /^function\s*\((\w+)\)\s*\{\s*(if\s*\(!\(\1 instanceof \w+\)\)\s*\{?\s*)?throw \1;?\s*\}?\s*\}$/;

/**
 * Runs `start` and removes the listeners for uncaught errors that it adds and that only throw the error again.
 *
 * The wasm backend of tfjs adds two. Without them Node reports an uncaught error where it was thrown; with them it prints the line of the
 * listener, which in a bundle is the whole of tfjs. Listeners that do anything else stay.
 */
export async function dropRethrowListeners<T>(start: () => Promise<T>): Promise<T> {
  // There is no process in a browser.
  const { process } = globalThis as { process?: Partial<NodeJS.Process> };
  if (!process?.listeners || !process.off) return start();
  const before = new Set(events.flatMap((event) => process.listeners?.(event as never) ?? []));
  try {
    return await start();
  } finally {
    for (const event of events)
      for (const listener of process.listeners(event as never))
        if (!before.has(listener) && onlyRethrows.test(String(listener)))
          process.off(event, listener as () => void);
  }
}
