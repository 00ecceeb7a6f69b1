/** Runs one command line of the real program in a shell that breaks its environment, and says what came of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

export interface Observation {
  /** As a shell has it: 128 and the number of the signal that ended it. */
  readonly code: number;
  readonly seconds: number;
  readonly errors: string;
  readonly hangs: boolean;
  /** Its processes that are still there some seconds after it. */
  readonly left: number;
}

export interface Observed {
  /** Bash; `"$@"` is the command line. */
  readonly script: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Sent to the process that the script becomes by `exec`, after so many seconds. */
  readonly signal?: { readonly name: NodeJS.Signals; readonly afterSeconds: number };
  /** More counts as a hang. */
  readonly limitSeconds: number;
}

const mark = 'CONTEXTLORA_FAULT';
let started = 0;

export async function observe(observed: Observed): Promise<Observation> {
  const { script, args, cwd, environment, signal, limitSeconds } = observed;
  const value = `${process.pid}-${(started += 1)}`;
  const begun = performance.now();
  const child = spawn('bash', ['-c', script, 'bash', ...args], {
    cwd,
    detached: true,
    env: { ...process.env, ...environment, [mark]: value },
    // A pipe that nobody writes to: a command that waits for input waits.
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const timers = new AbortController();
  const after = (seconds: number, act: () => void) => {
    setTimeout(1000 * seconds, undefined, { signal: timers.signal }).then(act, () => undefined);
  };
  let hangs = false;
  after(limitSeconds, () => {
    hangs = true;
    killGroup(child);
  });
  if (signal) after(signal.afterSeconds, () => child.kill(signal.name));
  const [code, endedBy] = await ended;
  timers.abort();
  const seconds = (performance.now() - begun) / 1000;
  const left = await leftOf(`${mark}=${value}`);
  for (const pid of left) process.kill(pid, 'SIGKILL');
  return {
    code: code ?? 128 + constants.signals[endedBy ?? 'SIGKILL'],
    seconds,
    errors,
    hangs,
    left: left.length,
  };
}

function killGroup({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid, 'SIGKILL');
}

/** The processes whose environment has a text, if some remain after a grace of five seconds. */
async function leftOf(text: string): Promise<number[]> {
  for (let attempt = 0; ; attempt++) {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const environments = await Promise.all(
      pids.map((pid) => readFile(join('/proc', pid, 'environ'), 'latin1').catch(() => '')),
    );
    const left = pids.filter((_, index) => environments[index]?.split('\0').includes(text)).map(Number);
    if (left.length === 0 || attempt === 25) return left;
    await setTimeout(200);
  }
}
