/** For measurements and checks of `contextlora serve`: a small run on any model, and the command serving it in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { processWorld, runCommandLine } from '@contextlora/cli';

const tasks = `
version: 1
tasks:
  - id: topic
    instruction: 'Text: {text} Topic:'
    inputs: [text]
    answer: { type: label, labels: [weather, traffic, food] }
    data: { train: topic.jsonl, test: topic.jsonl }
  - id: reader
    dependsOn: [topic]
    instruction: 'Text: {text} Topic: {topic} Reader:'
    inputs: [text]
    answer: { type: label, labels: [driver, cook] }
    data: { train: reader.jsonl, test: reader.jsonl }
  - id: story
    instruction: '{text}'
    inputs: [text]
    answer: { type: text }
    data: { train: story.jsonl, test: story.jsonl }
`;
const rows = {
  topic: { text: 'It rains.', answer: 'weather' },
  reader: { text: 'It rains.', parents: { topic: 'weather' }, answer: 'driver' },
  story: { text: 'It rains.', answer: 'so we stay' },
};

/** Trains the tasks by one step each, so that their answers are those of the base but for a step. Returns the directory of the run. */
export async function makeRun(folder: string, model: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'tasks.yaml'), tasks);
  for (const [task, row] of Object.entries(rows))
    await writeFile(join(folder, `${task}.jsonl`), `${JSON.stringify(row)}\n`);
  const out = join(folder, 'run');
  const world = processWorld(process, { version: 'bench' });
  const code = await runCommandLine(
    [
      ...['train', join(folder, 'tasks.yaml'), '--model', model, '--out', out],
      ...['--steps', '1', '--batch-size', '1', '--rank', '3', '--learning-rate', '1e-4'],
    ],
    { ...world, output: process.stderr },
  );
  if (code !== 0) throw new Error(`training ended with ${code}`);
  return out;
}

export interface ServerProcess {
  readonly name: string;
  readonly url: string;
  readonly child: ChildProcess;
  /** Asks it to stop; resolves with its exit code when it has. */
  stop(): Promise<number | null>;
}

/** Starts a server and waits until it answers at `url`. */
export async function startServer(
  name: string,
  [program, ...args]: readonly [string, ...string[]],
  { url, isReady }: { readonly url: string; readonly isReady: (url: string) => Promise<boolean> },
): Promise<ServerProcess> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  const keep = (text: Buffer) => {
    printed = (printed + text.toString()).slice(-2000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = once(child, 'exit') as Promise<[number | null]>;
  for (;;) {
    if (await isReady(url).catch(() => false)) break;
    const over = await Promise.race([
      ended.then(() => true),
      new Promise<boolean>((resolve) => setTimeout(resolve, 200, false)),
    ]);
    if (over) throw new Error(`${name} ended before it served:\n${printed}`);
  }
  return {
    name,
    url,
    child,
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      return code;
    },
  };
}

const program = join(import.meta.dirname, '../../contextlora/src/cli.ts');

/** `contextlora serve` from source. */
export const startContextlora = (
  run: string,
  { port, args = [], name = 'contextlora' }: { port: number; args?: readonly string[]; name?: string },
): Promise<ServerProcess> =>
  startServer(
    name,
    [process.execPath, ...process.execArgv, program, 'serve', run, '--port', String(port), ...args],
    {
      url: `http://127.0.0.1:${port}`,
      isReady: async (url) => (await fetch(`${url}/healthz`)).ok,
    },
  );
