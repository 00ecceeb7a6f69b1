/** A server of `contextlora cluster up`, for tests. */
import { spawnSync } from 'node:child_process';

import { describe } from '@jest/globals';

import { type Outcome, runCommand, type RunOptions } from './run-command.js';

/** Debian keeps servers where only root's PATH looks. */
export const environment = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` };
const isInstalled = spawnSync('nats-server', ['--version'], { env: environment }).status === 0;
if (!isInstalled) console.warn('nats-server is not installed: the tests that need it are skipped.');
/** `describe` where a NATS server is installed, and elsewhere a notice. */
export const describeWithNats: typeof describe | typeof describe.skip = isInstalled
  ? describe
  : describe.skip;

/** Runs a server while `use` runs, then interrupts it. */
export async function whileUp(
  args: readonly string[],
  use: (address: string) => Promise<void>,
): Promise<Outcome> {
  let stop: (() => void) | undefined;
  let ended: Promise<Outcome> | undefined;
  const running = new Promise<string>((resolve, reject) => {
    const onOutput: RunOptions['onOutput'] = (out, interrupt) => {
      stop = interrupt;
      const port = /127\.0\.0\.1:(\d+) until|port (\d+) of/.exec(out);
      if (port) resolve(`127.0.0.1:${port[1] ?? port[2]}`);
    };
    ended = runCommand(['cluster', 'up', ...args, '--port', '0'], { environment, onOutput });
    ended.then(({ err }) => {
      reject(new Error(err));
    }, reject);
  });
  try {
    await use(await running);
  } finally {
    stop?.();
  }
  return ended!;
}
