/** The NATS server of this machine as a process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';

export interface NatsProcess extends AsyncDisposable {
  /** `host:port` at which this machine reaches it. */
  readonly address: string;
  readonly version: string;
  /** Resolves when it has ended by itself, with the end of its log. */
  readonly ended: Promise<string>;
}

const startSeconds = 10;

/**
 * Starts a server with a configuration file; it ends with the disposal.
 *
 * @throws CliError `CLI_MACHINE_UNSUPPORTED` if there is no server, or it does not start.
 */
export async function startNatsProcess(
  configuration: string,
  { environment }: Pick<CommandContext, 'environment'>,
): Promise<NatsProcess> {
  // Debian keeps servers where only root's PATH looks.
  const path = `${environment['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin`;
  const child = spawn('nats-server', ['-c', configuration], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...environment, PATH: path },
    // Ctrl-C on a terminal reaches every process of the group; the server ends after its last client.
    detached: true,
  });
  let log = '';
  const closed = new Promise<string>((resolve) => {
    child.once('error', (error) => {
      resolve(error.message);
    });
    child.once('close', () => {
      resolve(log.trim().split('\n').slice(-5).join('\n'));
    });
  });
  const stop = async () => {
    if (child.exitCode === null && child.pid !== undefined) {
      child.kill('SIGTERM');
      await closed;
    }
  };
  const ready = new Promise<void>((resolve) => {
    child.stderr.on('data', (text: Buffer) => {
      log = (log + text.toString()).slice(-20_000);
      if (log.includes('Server is ready')) resolve();
    });
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, startSeconds * 1000, `it did not start within ${startSeconds} s`);
  });
  const problem = await Promise.race([ready, closed, late]);
  clearTimeout(timer);
  if (problem !== undefined) {
    await stop();
    throw new CliError(
      'CLI_MACHINE_UNSUPPORTED',
      'cluster up',
      problem.includes('ENOENT')
        ? 'there is no program nats-server; on Debian and Ubuntu: apt-get install nats-server'
        : `the NATS server does not start:\n${problem}`,
    );
  }
  const port = /Listening for client connections on .*:(\d+)/.exec(log)?.[1];
  const version = /Version:\s+(\S+)/.exec(log)?.[1] ?? 'of an unknown version';
  return {
    address: `127.0.0.1:${port}`,
    version,
    ended: closed,
    [Symbol.asyncDispose]: stop,
  };
}

/** Resolves when the signal is aborted, or the server has ended by itself, with its log. */
export async function untilStopped(server: NatsProcess, signal: AbortSignal): Promise<string | undefined> {
  if (signal.aborted) return undefined;
  return Promise.race([server.ended, once(signal, 'abort').then(() => undefined)]);
}
