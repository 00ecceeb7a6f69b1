/**
 * Whether a command that is interrupted at random and resumed leaves the files of one that was left alone.
 *
 * `npm run check:interruptions -- --runs 45 --seed 0 [--from 0] [--only train|add-task|retrain|relabel|remove-task]`: each run trains two
 * tasks on a small model, or changes a finished run, is stopped at random moments by SIGINT, SIGTERM, SIGHUP or SIGKILL, and is resumed
 * until it is done. Every file is then compared, byte for byte; report.json without `timing`, history.json without the time of the change.
 * Exits 1 if any differs. The runs have random numbers of their own: `--runs 9 --from 9` are the second nine of 45.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { keyedRandom } from '@contextlora/lora';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '45' },
    seed: { type: 'string', default: '0' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
  },
});
const [runs, seed, from] = [Number(values.runs), Number(values.seed), Number(values.from)];
const root = join(import.meta.dirname, '../../..');
const model = join(root, 'packages/benchmarks/models/iov-base');
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const;

/** What each process printed on its error output. */
const errorsOf = new WeakMap<ChildProcess, string>();

const directory = await mkdtemp(join(tmpdir(), 'interruptions-'));
const settings = ['--steps', '120'];
const tasksOf = (name: string) => join(directory, `${name}.yaml`);
/** The command lines, without the run's directory; all but the first change a copy of a finished run. */
const commands: Readonly<Record<string, (out: string) => readonly string[]>> = {
  train: (out) =>
    ['train', tasksOf('two'), '--model', model, '--out', out, '--rank', '8', '--batch-size', '2'].concat(
      settings,
    ),
  'add-task': (out) => ['add-task', out, '--tasks', tasksOf('three'), '--rank', '4', '--yes', ...settings],
  retrain: (out) => ['retrain', out, 'light', '--yes', ...settings],
  relabel: (out) => ['relabel', out, '--tasks', tasksOf('renamed'), '--yes'],
  'remove-task': (out) => ['remove-task', out, 'lamp', '--yes'],
};
try {
  process.exitCode = (await check()) ? 0 : 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}

/** What an undisturbed command leaves, and how long it takes. */
interface Expected {
  readonly contents: ReadonlyMap<string, string>;
  readonly milliseconds: number;
}

async function check(): Promise<boolean> {
  await writeScenario();
  const chosen = Object.keys(commands).filter((name) => values.only === undefined || name === values.only);
  if (chosen.length === 0) throw new Error(`--only is one of ${Object.keys(commands).join(', ')}`);
  await undisturbed('train');
  const expected = new Map<string, Expected>();
  for (const name of chosen) expected.set(name, await undisturbed(name));

  const counts = new Map<string, number>();
  let different = 0;
  for (let run = from; run < from + runs; run++) {
    const random = keyedRandom(seed, 'interruptions', run);
    const name = chosen[run % chosen.length] ?? 'train';
    const { contents, milliseconds } = expected.get(name)!;
    const out = join(directory, `run-${run}`);
    await prepare(name, out);
    let more: string[] = [];
    for (let kills = 0; ;) {
      const child = start(name, out, more);
      const closed = once(child, 'close') as Promise<[number | null, string | null]>;
      // At most three, so that a run ends; the first part of the time is the start of Node.
      const moment = kills < 3 ? milliseconds * (0.25 + 0.75 * random.next()) : Infinity;
      const signal = signals[Math.floor(random.next() * signals.length)] ?? 'SIGKILL';
      const isOver = await Promise.race([
        closed.then(() => true),
        ...(moment < Infinity ? [setTimeout(moment, false)] : []),
      ]);
      if (!isOver) {
        kills += 1;
        child.kill(signal);
        counts.set(signal, (counts.get(signal) ?? 0) + 1);
      }
      const [code] = await closed;
      if (code === 0) break;
      if (isOver)
        throw new Error(`run ${run} (${name}) ended with ${String(code)}: ${errorsOf.get(child) ?? ''}`);
      more = ['--resume'];
    }
    const differences = differing(contents, await contentsOf(out));
    if (differences.length > 0) {
      different += 1;
      console.log(`run ${run} (${name}): ${differences.join(', ')} differ`);
    }
    await rm(out, { recursive: true });
  }
  const sent = [...counts].sort().map(([signal, count]) => `${count} ${signal}`);
  const files = [...expected].map(([name, { contents }]) => `${contents.size} of ${name}`);
  console.log(
    `${runs} runs from ${from}, seed ${seed}, interrupted by ${sent.join(', ') || 'nothing'}: ${runs - different} left the files of an uninterrupted one (${files.join(', ')}), ${different} did not`,
  );
  return different === 0;
}

/** Runs a command once and leaves it alone; what `train` leaves is what the other commands change. */
async function undisturbed(name: string): Promise<Expected> {
  const out = join(directory, name);
  if (name === 'train') await rm(out, { recursive: true, force: true });
  await prepare(name, out);
  const started = performance.now();
  const child = start(name, out, []);
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0)
    throw new Error(
      `${name} without interruption ended with ${String(status)}: ${errorsOf.get(child) ?? ''}`,
    );
  return { milliseconds: performance.now() - started, contents: await contentsOf(out) };
}

async function prepare(name: string, out: string): Promise<void> {
  if (name !== 'train') await cp(join(directory, 'train'), out, { recursive: true });
}

/** Tasks that learn from texts: two of them, the second building on the first; a third; and the two with another label. */
async function writeScenario(): Promise<void> {
  const light = ['night', 'sunny'];
  const data: Readonly<Record<string, readonly string[]>> = {
    light,
    lamp: ['yes', 'no'],
    time: ['late', 'early'],
  };
  for (const [id, answers] of Object.entries(data)) {
    const rows = Array.from({ length: 24 }, (_, index) =>
      JSON.stringify({
        text: `case ${index}`,
        ...(id === 'lamp' ? { parents: { light: light[index % 2] } } : {}),
        answer: answers[index % answers.length],
      }),
    );
    await writeFile(join(directory, `${id}.jsonl`), rows.join('\n'));
  }
  const task = (id: string, more: string, labels: string) =>
    `  - { id: ${id}, ${more}, inputs: [text], answer: { type: label, labels: [${labels}] }, data: { train: ${id}.jsonl, test: { test: ${id}.jsonl } } }\n`;
  const lightTask = task('light', "instruction: '{text} light ?'", 'night, sunny');
  const lampTask = (labels: string) =>
    task('lamp', "dependsOn: [light], instruction: '{text} {light} lamp ?'", labels);
  const timeTask = task('time', "instruction: '{text} time ?'", 'early, late');
  const files = {
    two: lightTask + lampTask('yes, no'),
    three: lightTask + lampTask('yes, no') + timeTask,
    renamed: lightTask + lampTask('yes, no, maybe'),
  };
  for (const [name, tasks] of Object.entries(files))
    await writeFile(tasksOf(name), `version: 1\nname: Light\ntasks:\n${tasks}`);
}

function start(name: string, out: string, more: readonly string[]): ChildProcess {
  const program = join(root, 'packages/contextlora/src/cli.ts');
  const child = spawn(
    process.execPath,
    ['--conditions', '@contextlora/source', '--import', 'tsx', program].concat(
      commands[name]?.(out) ?? [],
      more,
    ),
    { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  child.stderr.on('data', (text: Buffer) => {
    errorsOf.set(child, (errorsOf.get(child) ?? '') + text.toString());
  });
  return child;
}

/** Every file below a directory by its path, without what may differ: times, and the digests of the files that have them. */
async function contentsOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const contents = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    contents.set(name, withoutTimes(name, await readFile(path)));
  }
  return contents;
}

function withoutTimes(name: string, bytes: Buffer): string {
  if (!['report.json', 'history.json', '.contextlora-run'].includes(name)) return bytes.toString('latin1');
  return JSON.stringify(JSON.parse(bytes.toString()), (key, value: unknown) =>
    ['timing', 'at', 'seal', 'report.json', 'history.json'].includes(key) ? typeof value : value,
  );
}

function differing(expected: ReadonlyMap<string, string>, got: ReadonlyMap<string, string>): string[] {
  return [...new Set([...expected.keys(), ...got.keys()])].filter(
    (path) => expected.get(path) !== got.get(path),
  );
}
