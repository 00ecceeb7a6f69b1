/** Runs the `contextlora` command from source, as `npm run demo` does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  /** What it reads from its standard input, which then ends. */
  readonly input?: string;
  readonly onStart?: (child: ChildProcess, seen: () => string) => void;
  /** Called when the first output has come. */
  readonly onOutput?: (child: ChildProcess) => void;
}

export function runCommand(
  args: readonly string[],
  { input = '', onStart, onOutput }: RunOptions = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [
    ...['--conditions', '@contextlora/source', '--import', 'tsx', program],
    ...args,
  ]);
  let [out, err] = ['', ''];
  child.stdout.on('data', (text: Buffer) => {
    if (out === '') onOutput?.(child);
    out += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => (err += text.toString()));
  child.stdin.end(input);
  onStart?.(child, () => out);
  return new Promise((resolve) =>
    child.on('close', (code) => {
      resolve({ code, out, err });
    }),
  );
}
