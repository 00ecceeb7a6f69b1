/** Runs the command line in a world made for a test. */
import { Readable, Writable } from 'node:stream';

import { runCommandLine, type StopSignal } from '@contextlora/cli';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  /** Its whole standard input. */
  readonly input?: string;
  /** Whether the input is a terminal on which someone types. */
  readonly isTerminal?: boolean;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Called after every print with everything printed so far; `interrupt` acts like Ctrl-C, or as the signal that it is given. */
  readonly onOutput?: (out: string, interrupt: (signal?: StopSignal) => void) => void;
}

export async function runCommand(
  args: readonly string[],
  { input = '', isTerminal = false, environment = process.env, onOutput }: RunOptions = {},
): Promise<Outcome> {
  let [out, err] = ['', ''];
  const handlers = new Set<(signal: StopSignal) => void>();
  const interrupt = (signal: StopSignal = 'SIGINT') => {
    for (const handler of handlers) handler(signal);
  };
  // Synchronous, so that a test can interrupt between two lines.
  const output = new Writable({
    write(text: Buffer, _, done) {
      out += text.toString();
      onOutput?.(out, interrupt);
      done();
    },
  });
  const errorOutput = new Writable({
    write(text: Buffer, _, done) {
      err += text.toString();
      done();
    },
  });
  const code = await runCommandLine(args, {
    version: '0.0.0-test',
    clock: () => performance.now() / 1000,
    cpuSeconds: () => process.cpuUsage().user / 1e6,
    memory: () => ({ residentBytes: 3e8, peakBytes: 3e8 }),
    program: '',
    nodeArguments: ['--conditions', '@contextlora/source'],
    input: Object.assign(Readable.from(input === '' ? [] : [Buffer.from(input)]), { isTTY: isTerminal }),
    output,
    errorOutput,
    now: () => new Date(),
    environment,
    hostname: 'test',
    listenForStops(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    listenForOrphaning: () => () => undefined,
    exitAtOnce() {
      throw new Error('a test interrupted twice');
    },
    sendToParent: () => Promise.resolve(),
  });
  return { code, out, err };
}
