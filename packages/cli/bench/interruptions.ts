/**
 * Whether a run that is interrupted at random and resumed leaves the files of one that was left alone.
 *
 * `npm run check:interruptions -- --runs 45 --seed 0`: each run trains two tasks on a small model, is stopped at random moments by
 * SIGINT, SIGTERM, SIGHUP or SIGKILL, and is resumed until it is done. Every file is then compared, byte for byte; report.json without
 * `timing`. Exits 1 if any differs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { keyedRandom } from '@contextlora/lora';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '45' }, seed: { type: 'string', default: '0' } },
});
const [runs, seed] = [Number(values.runs), Number(values.seed)];
const root = join(import.meta.dirname, '../../..');
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const;

/** What each process printed on its error output. */
const errorsOf = new WeakMap<ChildProcess, string>();

const directory = await mkdtemp(join(tmpdir(), 'interruptions-'));
try {
  process.exitCode = (await check()) ? 0 : 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function check(): Promise<boolean> {
  const taskFile = await writeScenario();
  const started = performance.now();
  const whole = join(directory, 'whole');
  const undisturbed = start(taskFile, whole, []);
  const [status] = (await once(undisturbed, 'close')) as [number | null];
  if (status !== 0)
    throw new Error(`the uninterrupted run ended with ${String(status)}: ${errorsOf.get(undisturbed) ?? ''}`);
  const milliseconds = performance.now() - started;
  const expected = await contentsOf(whole);

  const random = keyedRandom(seed, 'interruptions');
  const counts = new Map<string, number>();
  let different = 0;
  for (let run = 0; run < runs; run++) {
    const out = join(directory, `run-${run}`);
    let more: string[] = [];
    for (let kills = 0; ;) {
      const child = start(taskFile, out, more);
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
      if (isOver) throw new Error(`run ${run} ended with ${String(code)}: ${errorsOf.get(child) ?? ''}`);
      more = ['--resume'];
    }
    const differences = differing(expected, await contentsOf(out));
    if (differences.length > 0) {
      different += 1;
      console.log(`run ${run}: ${differences.join(', ')} differ`);
    }
    await rm(out, { recursive: true });
  }
  const sent = [...counts].sort().map(([signal, count]) => `${count} ${signal}`);
  console.log(
    `${runs} runs, seed ${seed}, interrupted by ${sent.join(', ') || 'nothing'}: ${runs - different} left the ${expected.size} files of an uninterrupted run, ${different} did not`,
  );
  return different === 0;
}

/** Two tasks that learn from texts; the second builds on the first. */
async function writeScenario(): Promise<string> {
  const rows = (answers: readonly string[], parent: (index: number) => object) =>
    Array.from({ length: 24 }, (_, index) =>
      JSON.stringify({ text: `case ${index}`, ...parent(index), answer: answers[index % answers.length] }),
    ).join('\n');
  const light = ['night', 'sunny'];
  await writeFile(
    join(directory, 'light.jsonl'),
    rows(light, () => ({})),
  );
  await writeFile(
    join(directory, 'lamp.jsonl'),
    rows(['yes', 'no'], (index) => ({ parents: { light: light[index % 2] } })),
  );
  const task = (id: string, more: string, labels: string) =>
    `  - { id: ${id}, ${more}, inputs: [text], answer: { type: label, labels: [${labels}] }, data: { train: ${id}.jsonl, test: { test: ${id}.jsonl } } }\n`;
  const path = join(directory, 'tasks.yaml');
  await writeFile(
    path,
    `version: 1\nname: Light\ntasks:\n${task('light', "instruction: '{text} light ?'", 'night, sunny')}${task('lamp', "dependsOn: [light], instruction: '{text} {light} lamp ?'", 'yes, no')}`,
  );
  return path;
}

function start(taskFile: string, out: string, more: readonly string[]): ChildProcess {
  const program = join(root, 'packages/contextlora/src/cli.ts');
  const model = join(root, 'packages/benchmarks/models/iov-base');
  const child = spawn(
    process.execPath,
    ['--conditions', '@contextlora/source', '--import', 'tsx', program]
      .concat(['train', taskFile, '--model', model, '--out', out])
      .concat(['--rank', '8', '--steps', '120', '--batch-size', '2', ...more]),
    { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  child.stderr.on('data', (text: Buffer) => {
    errorsOf.set(child, (errorsOf.get(child) ?? '') + text.toString());
  });
  return child;
}

/** Every file below a directory by its path, without what may differ: `timing`, and the digests of the report that has it. */
async function contentsOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const contents = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const name = path.slice(folder.length + 1);
    contents.set(name, withoutTiming(name, bytes));
  }
  return contents;
}

function withoutTiming(name: string, bytes: Buffer): string {
  if (name !== 'report.json' && name !== '.contextlora-run') return bytes.toString('latin1');
  const { timing, seal, files, ...rest } = JSON.parse(bytes.toString()) as Record<string, unknown>;
  const { 'report.json': report, ...others } = (files ?? {}) as Record<string, unknown>;
  return JSON.stringify([rest, others, typeof timing, typeof seal, typeof report]);
}

function differing(expected: ReadonlyMap<string, string>, got: ReadonlyMap<string, string>): string[] {
  return [...new Set([...expected.keys(), ...got.keys()])].filter(
    (path) => expected.get(path) !== got.get(path),
  );
}
