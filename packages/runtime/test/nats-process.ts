/** A NATS server for tests and benches, where one is installed. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

// Debian keeps servers where only root's PATH looks.
const environment = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` };
/** Whether there is a server to start. */
export const isNatsInstalled = spawnSync('nats-server', ['--version'], { env: environment }).status === 0;

export interface TestServer extends AsyncDisposable {
  readonly address: string;
  readonly pid: number;
}

/** Starts a server on a free port, or as a file says that is in the server's own format. */
export async function startNatsServer({
  configuration,
  port = -1,
  storeDirectory,
}: {
  readonly configuration?: string;
  readonly port?: number;
  readonly storeDirectory?: string;
} = {}): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), 'contextlora-nats-'));
  const child = spawn(
    'nats-server',
    [
      ...['--ports_file_dir', directory],
      ...(configuration === undefined
        ? ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', storeDirectory ?? directory]
        : ['-c', configuration]),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: environment },
  );
  let log = '';
  child.stderr.on('data', (text: Buffer) => (log += text.toString()));
  const exited = new Promise((resolve) => child.once('exit', resolve));
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) break;
    await setTimeout(25);
    const file = readdirSync(directory).find((name) => name.endsWith('.ports'));
    const text = file === undefined ? '' : readFileSync(join(directory, file), 'utf8');
    const url = /(?:nats|tls):\/\/(127\.0\.0\.1:\d+)/.exec(text)?.[1];
    if (url === undefined) continue;
    return {
      address: url,
      pid: child.pid!,
      async [Symbol.asyncDispose]() {
        child.kill('SIGKILL');
        await exited;
        rmSync(directory, { recursive: true, force: true });
      },
    };
  }
  child.kill('SIGKILL');
  throw new Error(`nats-server did not start:\n${log}`);
}
