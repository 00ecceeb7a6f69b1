/** Calls the command line with a world of the test's own. */
import { Readable, Writable } from 'node:stream';

import { runCommandLine } from '@contextlora/cli';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  /** What it reads from its standard input, which then ends. */
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Called with everything printed so far whenever something is printed; `interrupt` is Ctrl-C. */
  readonly onOutput?: (out: string, interrupt: () => void) => void;
}

export async function runCommand(
  args: readonly string[],
  { input = '', environment = process.env, onOutput }: RunOptions = {},
): Promise<Outcome> {
  let [out, err] = ['', ''];
  const handlers = new Set<() => void>();
  const interrupt = () => {
    for (const handler of handlers) handler();
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
    program: '',
    input: Readable.from(input === '' ? [] : [Buffer.from(input)]),
    output,
    errorOutput,
    now: () => new Date(),
    environment,
    hostname: 'test',
    listenForInterrupts(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    exitAtOnce() {
      throw new Error('a test interrupted twice');
    },
    sendToParent: () => Promise.resolve(),
  });
  return { code, out, err };
}
