/**
 * Three worker processes and a coordinator train a small task graph in a cluster of this machine; one worker is killed on the way and
 * started again. Prints what the coordinator and the killed worker said, and whether the adapters are those of one process.
 *
 * Usage: npm run check:lost-worker [-- --carrier nats] [--write FILE]; exits 1 where anything is otherwise, and needs nats-server.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    carrier: { type: 'string', default: 'grpc' },
    steps: { type: 'string', default: '60' },
    write: { type: 'string' },
  },
});
const root = join(import.meta.dirname, '../../..');
const model = join(root, 'packages/benchmarks/models/iov-base');
const directory = mkdtempSync(join(tmpdir(), 'contextlora-lost-worker-'));
const names = ['nano', 'orin', 'xavier'];

const taskFile = `
version: 1
name: Lights
tasks:
  - id: light
    instruction: '{text} light ?'
    inputs: [text]
    answer: { type: label, labels: [night, sunny] }
    data: { train: light.jsonl, test: { test: light.jsonl } }
  - id: lamp
    instruction: '{text} lamp ?'
    inputs: [text]
    answer: { type: label, labels: [yes, no] }
    data: { train: lamp.jsonl, test: { test: lamp.jsonl } }
  - id: bright
    dependsOn: [light, lamp]
    instruction: '{text} light {light} . lamp {lamp} ?'
    inputs: [text]
    answer: { type: label, labels: [no, yes] }
    data: { train: bright.jsonl, test: { test: bright.jsonl } }
`;
const texts = ['the light is low .', 'the light is bright .'];
const rowsOf: Readonly<Record<string, readonly object[]>> = {
  light: texts.map((text, i) => ({ text, answer: ['night', 'sunny'][i] })),
  lamp: texts.map((text, i) => ({ text, answer: ['yes', 'no'][i] })),
  bright: texts.map((text, i) => ({
    text,
    parents: { light: ['night', 'sunny'][i], lamp: ['yes', 'no'][i] },
    answer: ['no', 'yes'][i],
  })),
};

interface Command {
  readonly process: ChildProcess;
  readonly lines: string[];
  readonly ended: Promise<unknown>;
  /** Resolves when a line matches. */
  until(pattern: RegExp): Promise<void>;
}

function start(...args: readonly string[]): Command {
  const child = spawn(
    process.execPath,
    [
      ...['--conditions', '@contextlora/source', '--import', import.meta.resolve('tsx')],
      ...[join(root, 'packages/contextlora/src/cli.ts'), ...args],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: directory },
  );
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let rest = '';
  const add = (text: Buffer) => {
    const parts = (rest + text.toString()).split('\n');
    rest = parts.pop()!;
    lines.push(...parts);
    for (const look of waiting) look();
  };
  child.stdout.on('data', add);
  child.stderr.on('data', add);
  const ended = once(child, 'close');
  return {
    process: child,
    lines,
    ended,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!lines.some((line) => pattern.test(line))) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        void ended.then(() => {
          reject(new Error(`${args[0]} ended before ${pattern}:\n${lines.join('\n')}`));
        });
        look();
      }),
  };
}

const adapters = (run: string) =>
  ['light', 'lamp', 'bright'].map((task) =>
    readFileSync(join(directory, run, 'adapters', task, 'adapter_model.safetensors')).toString('base64'),
  );
const problems: string[] = [];
const commands: Command[] = [];
const run = (...args: readonly string[]) => {
  const command = start(...args);
  commands.push(command);
  return command;
};

try {
  writeFileSync(join(directory, 'tasks.yaml'), taskFile);
  for (const [task, rows] of Object.entries(rowsOf))
    writeFileSync(join(directory, `${task}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const training = ['train', 'tasks.yaml', '--model', model, '--rank', '8', '--batch-size', '4'];
  training.push('--steps', values.steps, '--learning-rate', '0.01', '--micro-batches', '2');
  const alone = run(...training, '--out', 'alone');
  await alone.ended;

  const server = run('cluster', 'up', 'server', '--port', '0');
  await server.until(/until Ctrl-C/);
  const address = /127\.0\.0\.1:\d+/.exec(server.lines.join(' '))![0];
  const work = (name: string) => run('worker', '--model', model, '--server', address, '--name', name);
  const workers = new Map(names.map((name) => [name, work(name)]));
  for (const worker of workers.values()) await worker.until(/has joined/);
  const coordinator = run(
    ...[...training, '--out', 'together', '--cluster', address, '--carrier', values.carrier],
    ...['--workers', String(names.length)],
  );
  await coordinator.until(/plan 1 of/);
  await coordinator.until(/light: \w+ layers/);
  // One that has work in the first phase: not all need have.
  const killed = /light: (\w+) layers/.exec(coordinator.lines.join('\n'))![1]!;
  const others = names.filter((name) => name !== killed);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  workers.get(killed)!.process.kill('SIGKILL');
  await coordinator.until(new RegExp(`${killed} is lost`));
  const again = work(killed);
  await coordinator.ended;
  for (const [name, worker] of workers) if (name !== killed) worker.process.kill('SIGINT');
  again.process.kill('SIGINT');
  await Promise.all(commands.filter((one) => one !== server).map((one) => one.ended));
  server.process.kill('SIGINT');
  await server.ended;

  const said = `${coordinator.lines.join('\n')}\n`;
  if (coordinator.process.exitCode !== 0)
    problems.push(`the coordinator ended with ${coordinator.process.exitCode}`);
  if (!/the others go on after [\d.]+ s \(\d+ steps repeated\)/.test(said)) problems.push('nobody recovered');
  if (!said.includes(`plan 2 of cluster development: ${others.join(', ')}\n`))
    problems.push('no plan was made without the lost worker');
  if (!said.includes(`plan 3 of cluster development: ${names.join(', ')}\n`))
    problems.push('the worker that came back was not used');
  if (JSON.stringify(adapters('alone')) !== JSON.stringify(adapters('together')))
    problems.push('the adapters are not those of one process');
  const shown = [
    '$ contextlora train tasks.yaml … --cluster --workers 3',
    ...coordinator.lines.filter((line) =>
      /plan \d|layers|is lost|go on|certificate|trained in|Done in/.test(line),
    ),
    '',
    `$ contextlora worker --name ${killed}    (killed, then started again)`,
    ...[...workers.get(killed)!.lines, ...again.lines],
    '',
    problems.length === 0
      ? 'The adapters are those of one process, to the byte.'
      : `FAIL ${problems.join('; ')}`,
  ].map((line) =>
    line
      .replaceAll(directory, '…')
      .replace(/\S+ …\/together/g, 'run')
      .replace(address, 'localhost'),
  );
  console.log(shown.join('\n'));
  if (problems.length > 0) console.log(`\nAll that the coordinator said:\n${said}`);
  if (values.write !== undefined) writeFileSync(values.write, `${shown.join('\n')}\n`);
} finally {
  for (const { process: child } of commands) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all(commands.map(({ ended }) => ended));
  rmSync(directory, { recursive: true, force: true });
}
process.exitCode = problems.length > 0 ? 1 : 0;
