/** Other programs, as far as samples need them. */
import { execFile, spawn } from 'node:child_process';

import type { CommandRunner } from '@contextlora/jetson';

/** A program that is missing, fails or takes more than 5 s has nothing to say. */
export const runProgram: CommandRunner = (command, args) =>
  new Promise((resolve) => {
    execFile(command, args, { timeout: 5000, maxBuffer: 1 << 20 }, (error, stdout) => {
      resolve(error ? undefined : stdout);
    });
  });

/**
 * What a program prints until it ends, the signal is raised or the caller stops, which ends it.
 *
 * @throws if it cannot be started.
 */
export async function* streamProgram(
  command: string,
  args: readonly string[],
  { signal }: { readonly signal: AbortSignal },
): AsyncGenerator<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const stop = () => child.kill();
  const failed = new Promise<Error>((resolve) => child.once('error', resolve));
  signal.addEventListener('abort', stop, { once: true });
  try {
    const started = await Promise.race([
      failed,
      new Promise<undefined>((resolve) => {
        child.once('spawn', () => {
          resolve(undefined);
        });
      }),
    ]);
    if (started)
      throw new Error(
        `contextlora/profile: ${command} cannot be started (${started.message}); it is there on Jetson boards, elsewhere leave "--source tegrastats" out`,
        { cause: started },
      );
    child.stdout.setEncoding('utf8');
    for await (const text of child.stdout) yield text as string;
  } finally {
    signal.removeEventListener('abort', stop);
    child.kill();
  }
}
