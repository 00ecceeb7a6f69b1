/** Other programs that provide samples. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';

import type { CommandRunner } from '@contextlora/jetson';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';

type Environment = CommandContext['environment'];

/** The output of a program; undefined if it is missing, fails or takes more than 5 s. */
export const programRunner =
  (environment: Environment): CommandRunner =>
  (command, args) =>
    new Promise((resolve) => {
      execFile(
        command,
        args,
        { timeout: 5000, killSignal: 'SIGKILL', maxBuffer: 1 << 20, env: { ...environment } },
        (error, stdout) => {
          resolve(error ? undefined : stdout);
        },
      );
    });

/**
 * The output of a program until it ends. The signal ends it, and so does the caller by ending its loop.
 *
 * @throws CliError if it cannot be started.
 */
export async function* streamProgram(
  command: string,
  args: readonly string[],
  { signal, environment }: { readonly signal: AbortSignal; readonly environment: Environment },
): AsyncGenerator<string> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...environment },
  });
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
      throw new CliError(
        'CLI_MACHINE_UNSUPPORTED',
        'profile',
        `${command} cannot be started (${started.message}); it comes with Jetson boards; on other machines leave out "--source tegrastats"`,
        { cause: started },
      );
    child.stdout.setEncoding('utf8');
    for await (const text of child.stdout) yield text as string;
  } finally {
    signal.removeEventListener('abort', stop);
    await end(child);
  }
}

/** Ends a program, by force if it does not end when asked. */
async function end(child: ChildProcess): Promise<void> {
  const isRunning = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  if (!isRunning()) return;
  const ended = once(child, 'exit');
  child.kill();
  await Promise.race([ended, setTimeout(graceMilliseconds, undefined, { ref: false })]);
  if (isRunning()) child.kill('SIGKILL');
  await ended;
}

const graceMilliseconds = 1000;
