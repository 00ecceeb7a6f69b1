/**
 * Plays faults of the environment against the real command: full disks, read-only and foreign directories, few file descriptors, little
 * memory, closed streams, removed directories, long names, signals. Each must end in time, in one message without a stack trace, with a
 * documented exit code and no process left behind, and must lose nothing: `--resume` without the fault leaves the adapters of a run that
 * was left alone, and a file that was there before is whole. Linux only. Exits with 1 if a case fails.
 *
 * Usage: npm run build && npm run check:faults -- [--values 6] [--seed 0] [--only TEXT] [--json FILE]
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { publishedCluster } from '@contextlora/jetson';
import { digestOf, writeWhole } from '@contextlora/lora/files';

import { formatTable } from '../src/terminal/table.js';
import { type FaultCase, faultCases, type FaultCommand, faultCommands } from './fault-cases.js';
import { type Observation, observe } from './observe-command.js';

const { values } = parseArgs({
  options: {
    values: { type: 'string', default: '6' },
    seed: { type: 'string', default: '0' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
  },
});
const root = join(import.meta.dirname, '../../..');
// As it is installed, and so as it was built: in a clone it would run through a compiler with faults of its own.
const program = join(root, 'node_modules/contextlora/bin/contextlora.js');
const model = join(root, 'packages/benchmarks/models/iov-base');
const home = await mkdtemp(join(tmpdir(), 'check-faults-'));

/** The option of each command that names what it writes; the others write nothing. */
const writes: Partial<Record<FaultCommand, string>> = { train: 'out', demo: 'out', plan: 'json' };
const argsOf: Readonly<Record<FaultCommand, readonly string[]>> = {
  train: ['train', join(home, 'tasks.yaml'), '--model', model, '--rank', '8', '--steps', '20'].concat([
    '--batch-size',
    '2',
  ]),
  demo: ['demo', '--effort', '0.005'],
  plan: ['plan', join(home, 'tasks.yaml'), '--model', model, '--cluster', join(home, 'cluster.json')],
  profile: ['profile', '--count', '2', '--interval', '0.5'],
  chat: ['chat', '--model', model, '--plain', '--max-tokens', '8', '--prompt', 'weather fog . what ?'],
};

async function writeScenario(): Promise<void> {
  const light = ['night', 'sunny'];
  const rows = (kind: string, answers: readonly string[], parent: (index: number) => object) =>
    Array.from({ length: 24 }, (_, index) =>
      JSON.stringify({ text: `${kind} ${index}`, ...parent(index), answer: answers[index % 2] }),
    ).join('\n');
  const task = (id: string, more: string, labels: string) =>
    `  - { id: ${id}, ${more}, inputs: [text], answer: { type: label, labels: [${labels}] }, data: { train: ${id}-case.jsonl, test: { test: ${id}-other.jsonl } } }\n`;
  await writeFile(
    join(home, 'tasks.yaml'),
    `version: 1\nname: Light\ntasks:\n${task('light', "instruction: '{text} light ?'", 'night, sunny')}${task('lamp', "dependsOn: [light], instruction: '{text} {light} lamp ?'", 'yes, no')}`,
  );
  for (const kind of ['case', 'other']) {
    await writeFile(
      join(home, `light-${kind}.jsonl`),
      rows(kind, light, () => ({})),
    );
    await writeFile(
      join(home, `lamp-${kind}.jsonl`),
      rows(kind, ['yes', 'no'], (index) => ({ parents: { light: light[index % 2] } })),
    );
  }
  const cluster = publishedCluster(['nano', 'orin-nx-16'], { megabitsPerSecond: 100, sharedMedium: true });
  await writeFile(join(home, 'cluster.json'), JSON.stringify(cluster));
}

const environmentOf = (command: FaultCommand, scratch: string, out: string) => ({
  SCRATCH: scratch,
  OUT: out,
  MODEL: join(home, 'model'),
  WRITES: writes[command] ?? '',
  NODE_PRESERVE_SYMLINKS_MAIN: '1',
});

/** Runs a command that writes to `out`. The limit is generous: a machine may be busy. */
async function run(
  command: FaultCommand,
  { script, more = [], signal }: Pick<FaultCase, 'script' | 'more' | 'signal'>,
  { out, seconds = 60 }: { out: string; seconds?: number },
): Promise<Observation> {
  const scratch = join(home, 'scratch');
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch);
  const written = writes[command];
  return observe({
    script,
    args: [process.execPath, program, ...argsOf[command]].concat(
      // On a disk of its own, the script says where to write.
      written === undefined || script.includes('--$WRITES') ? [] : [`--${written}`, out],
      more,
    ),
    cwd: home,
    environment: environmentOf(command, scratch, out),
    ...(signal && { signal: { name: signal.name, afterSeconds: signal.share * seconds } }),
    limitSeconds: 60 + 10 * seconds,
  });
}

/** What must be the same after a resume: adapters and partition of a run by their digests, any other output whole. */
async function resultOf(out: string): Promise<string> {
  const status = await stat(out).catch(() => undefined);
  if (status === undefined) return 'nothing';
  if (!status.isDirectory()) return readFile(out, 'utf8');
  const entries = await readdir(out, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const proved = paths
    .map((path) => path.slice(out.length + 1))
    .filter((path) => /^(adapters|partition)\//.test(path));
  return JSON.stringify(
    await Promise.all(
      proved.sort().map(async (path) => [path, digestOf(await readFile(join(out, path))).sha256]),
    ),
  );
}

interface Undisturbed {
  readonly seconds: number;
  readonly kilobytes: number;
  readonly result: string;
}

async function undisturbed(command: FaultCommand): Promise<Undisturbed> {
  const out = join(home, `${command}-undisturbed`);
  const { code, seconds, errors } = await run(command, { script: 'exec "$@"' }, { out });
  if (code !== 0) throw new Error(`${command} without a fault ends with ${code}: ${errors}`);
  const entries = await readdir(home, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile() && join(entry.parentPath, entry.name).startsWith(out))
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
  );
  return {
    seconds,
    kilobytes: Math.ceil(sizes.reduce((sum, size) => sum + Math.ceil(size / 4096) * 4, 0)),
    result: await resultOf(out),
  };
}

interface Result {
  readonly fault: string;
  readonly command: FaultCommand;
  readonly verdict: 'passed' | 'failed' | 'skipped';
  readonly code?: number;
  readonly seconds?: number;
  readonly message?: string;
  /** What is wrong, or why it was not played. */
  readonly why: readonly string[];
}

const before = '{"before": true}\n';

async function play(fault: FaultCase, { seconds, result }: Undisturbed): Promise<Result> {
  const { command, codes, needs, isUnheard } = fault;
  const named = { fault: fault.fault, command };
  const out = join(home, 'result.json');
  await rm(out, { recursive: true, force: true });
  await rm(join(home, 'model'), { recursive: true, force: true });
  await cp(model, join(home, 'model'), { recursive: true });
  if (needs !== undefined && (await run('profile', { script: needs.script }, { out })).code !== 0)
    return { ...named, verdict: 'skipped', why: [needs.otherwise] };
  if (command === 'plan') await writeFile(out, before);
  const seen = await run(command, fault, { out, seconds });
  const lines = seen.errors.split('\n').filter((line) => line.trim() !== '');
  const why: string[] = [];
  // No program can catch it when V8, Rust or C++ finds no room for its objects: they abort the process with a report of their own.
  const aborted = [133, 134].includes(seen.code)
    ? /^.*(?:FATAL ERROR|Fatal process|memory allocation of|bad_alloc).*$/m.exec(seen.errors)
    : null;
  if (seen.hangs) why.push('hangs');
  if (seen.left > 0) why.push(`leaves ${seen.left} processes`);
  if (!aborted) {
    if (!codes.includes(seen.code)) why.push(`exit code ${seen.code}, not ${codes.join(' or ')}`);
    if (lines.some((line) => /^\s+at .*[:(]/.test(line))) why.push('a stack trace');
    if (lines.length > 1) why.push(`${lines.length} lines of errors`);
    if (seen.code !== 0 && lines.length === 0 && !isUnheard) why.push('no message');
  }
  if (command === 'plan') {
    const written = await resultOf(out);
    if (written !== before && written !== result) why.push('its earlier file is lost');
  } else if (writes[command] !== undefined) {
    const resumed = await run(command, { script: 'exec "$@"', more: ['--resume'] }, { out, seconds });
    if (resumed.code !== 0) why.push(`cannot be resumed: ${resumed.errors}`);
    else if ((await resultOf(out)) !== result) why.push('resumed, its adapters differ');
  }
  return {
    ...named,
    verdict: why.length > 0 ? 'failed' : 'passed',
    code: seen.code,
    seconds: seen.seconds,
    message: aborted ? `aborted: ${aborted[0]}` : lines.join(' | '),
    why,
  };
}

try {
  if (process.platform !== 'linux') throw new Error('these faults are played on Linux only');
  await writeScenario();
  const references = new Map<FaultCommand, Undisturbed>();
  for (const command of faultCommands) references.set(command, await undisturbed(command));
  const kilobytes = (command: FaultCommand) => references.get(command)?.kilobytes ?? 0;
  const cases = faultCases({
    seed: Number(values.seed),
    values: Number(values.values),
    kilobytes: { train: kilobytes('train'), demo: kilobytes('demo'), plan: kilobytes('plan') },
  }).filter(({ fault, command }) => `${command}: ${fault}`.includes(values.only));
  const results: Result[] = [];
  for (const fault of cases) {
    const reference = references.get(fault.command);
    if (reference === undefined) continue;
    const result = await play(fault, reference);
    results.push(result);
    if (result.verdict === 'failed')
      console.error(
        `${result.command}: ${result.fault}: ${result.why.join(', ')}\n  ${result.message ?? ''}`,
      );
  }
  const rows = results.map(({ command, fault, code, seconds, verdict }) => [
    command,
    fault,
    String(code ?? '–'),
    seconds === undefined ? '–' : `${seconds.toFixed(1)} s`,
    verdict,
  ]);
  const messages = results.map(({ message = '', why }) => [...why, message].join('; ').replaceAll(home, ''));
  formatTable(['command', 'fault', 'exit', 'time', 'verdict'], rows).forEach((line, index) => {
    console.log(`${line}  ${(messages[index - 2] ?? '').slice(0, 100)}`.trimEnd());
  });
  const count = (verdict: Result['verdict']) => results.filter((result) => result.verdict === verdict).length;
  console.log(
    `${results.length} cases, seed ${values.seed}: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`,
  );
  if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
  if (count('failed') > 0) process.exitCode = 1;
} finally {
  await rm(home, { recursive: true, force: true });
}
