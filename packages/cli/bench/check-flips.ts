/**
 * Flips random bits in the files of a finished run and of one that was stopped in the middle of a phase, then resumes the run and reads
 * its adapters. Every flip must be found, and its file named, or change nothing; exits with 1 if one is used silently.
 *
 * Usage: npm run check:flips -- [--flips 500] [--seed 0] [--json FILE]
 */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative, sep } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { exitCodes, runCommandLine } from '@contextlora/cli';
import { keyedRandom } from '@contextlora/lora';
import { digestOf, readPeftFolder, writeWhole } from '@contextlora/lora/files';

import { readAdapter } from '../src/commands/read-adapter.js';
import { formatTable } from '../src/terminal/table.js';

const { values } = parseArgs({
  options: {
    flips: { type: 'string', default: '500' },
    seed: { type: 'string', default: '0' },
    json: { type: 'string' },
  },
});
const model = fileURLToPath(new URL('../../model/test/fixtures/llama-tiny', import.meta.url));
const home = await mkdtemp(join(tmpdir(), 'check-flips-'));

const taskFile = `
version: 1
name: Light
tasks:
  - id: light
    instruction: '{text} light ?'
    inputs: [text]
    answer: { type: label, labels: [night, sunny] }
    data: { train: light.jsonl, test: light.jsonl }
  - id: lamp
    dependsOn: [light]
    instruction: '{text} light {light} . lamp ?'
    inputs: [text]
    answer: { type: label, labels: [yes, no] }
    data: { train: lamp.jsonl, test: lamp.jsonl }
`;
const lines = (...rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
await writeFile(join(home, 'tasks.yaml'), taskFile);
await writeFile(
  join(home, 'light.jsonl'),
  lines({ text: 'low .', answer: 'night' }, { text: 'bright .', answer: 'sunny' }),
);
await writeFile(
  join(home, 'lamp.jsonl'),
  lines(
    { text: 'low .', parents: { light: 'night' }, answer: 'yes' },
    { text: 'bright .', parents: { light: 'sunny' }, answer: 'no' },
  ),
);

/** Runs `contextlora train` in this process; with `stopAt`, as if Ctrl-C were pressed when the output has this text. */
async function train(
  out: string,
  { resume = false, stopAt }: { resume?: boolean; stopAt?: string } = {},
): Promise<{ code: number; errors: string }> {
  let [shown, errors] = ['', ''];
  let interrupt: () => void = () => undefined;
  const sink = (take: (text: string) => void) =>
    new Writable({
      write(text: Buffer, _, done) {
        take(text.toString());
        done();
      },
    });
  const args = ['train', join(home, 'tasks.yaml'), '--model', model, '--out', out];
  const settings = ['--rank', '8', '--steps', '12', '--batch-size', '2'];
  const code = await runCommandLine([...args, ...settings, ...(resume ? ['--resume'] : [])], {
    version: '0.0.0-flips',
    clock: () => performance.now() / 1000,
    cpuSeconds: () => process.cpuUsage().user / 1e6,
    memory: () => ({ residentBytes: 0, peakBytes: 0 }),
    program: '',
    nodeArguments: [],
    input: Object.assign(Readable.from([]), { isTTY: false }),
    output: sink((text) => {
      shown += text;
      if (stopAt !== undefined && shown.includes(stopAt)) interrupt();
    }),
    errorOutput: sink((text) => (errors += text)),
    now: () => new Date(),
    environment: process.env,
    hostname: 'flips',
    listenForStops(handler) {
      interrupt = () => {
        handler('SIGINT');
      };
      return () => undefined;
    },
    listenForOrphaning: () => () => undefined,
    exitAtOnce: () => undefined,
    sendToParent: () => Promise.resolve(),
  });
  return { code, errors };
}

/** All files below a directory, by their path in it. */
async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

/** What a run came to: its adapters and partition to the byte, and its report but for times. */
async function outcomeOf(directory: string): Promise<string> {
  const files = (await filesBelow(directory)).filter((path) => /^(adapters|partition)\//.test(path));
  const digests = await Promise.all(
    files.map(async (path) => [path, digestOf(await readFile(join(directory, path))).sha256]),
  );
  const { timing, ...report } = JSON.parse(await readFile(join(directory, 'report.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  return JSON.stringify([digests, report, timing === undefined]);
}

/** Every reader of an adapter file, as `contextlora chat` and PEFT folders have it. */
const readers = (directory: string) => [
  ...['light', 'lamp'].flatMap((task) => [
    () => readAdapter(directory, task),
    () => readAdapter(join(directory, 'adapters'), task),
    () => readPeftFolder(join(directory, 'partition', 'segments', task)),
  ]),
];

type Verdict = 'found' | 'found, not named' | 'harmless' | 'silently used';

/** Uses a run in which one file was changed. */
async function use(directory: string, path: string, reference: string): Promise<Verdict> {
  const named = (message: string): Verdict =>
    message.includes(basename(path)) ? 'found' : 'found, not named';
  if (/^(adapters|partition)\//.test(path)) {
    // Resuming writes these files again from the checkpoint and reads none of them.
    const messages = await Promise.all(
      readers(directory).map((read) =>
        read().then(
          () => undefined,
          (error: unknown) => (error as Error).message,
        ),
      ),
    );
    const found = messages.filter((message) => message !== undefined);
    if (found.length === 0) return 'silently used';
    return found.every((message) => named(message) === 'found') ? 'found' : 'found, not named';
  }
  const { code, errors } = await train(directory, { resume: true });
  if (code !== exitCodes.done) return code === exitCodes.userMistake ? named(errors) : 'found, not named';
  return (await outcomeOf(directory)) === reference ? 'harmless' : 'silently used';
}

interface Count {
  readonly state: string;
  readonly file: string;
  readonly verdicts: Partial<Record<Verdict, number>>;
}

async function check(state: string, original: string): Promise<Count[]> {
  const copy = join(home, 'copy');
  const fresh = async () => {
    await rm(copy, { recursive: true, force: true });
    await cp(original, copy, { recursive: true });
  };
  await fresh();
  const resumed = await train(copy, { resume: true });
  if (resumed.code !== exitCodes.done) throw new Error(`the sound run is not resumed: ${resumed.errors}`);
  const reference = await outcomeOf(copy);
  const files = await Promise.all(
    (await filesBelow(original)).map(async (path) => ({
      path,
      bits: 8 * (await readFile(join(original, path))).length,
    })),
  );
  const counts = new Map(
    files.map(({ path }): [string, Count] => [path, { state, file: path, verdicts: {} }]),
  );
  const random = keyedRandom(Number(values.seed), 'flips', state);
  for (let flip = 0; flip < Number(values.flips); flip++) {
    // Every other flip takes all bits as equally likely, and so mostly tensors; the others take all files so.
    let at = random.integer(files.reduce((sum, { bits }) => sum + bits, 0));
    let chosen = files.find(({ bits }) => (at -= bits) < 0) ?? random.pick(files);
    if (flip % 2 === 1) chosen = random.pick(files);
    if (chosen.bits === 0) continue;
    await fresh();
    const content = await readFile(join(copy, chosen.path));
    const bit = random.integer(chosen.bits);
    content[bit >> 3]! ^= 1 << (bit & 7);
    await writeFile(join(copy, chosen.path), content);
    const verdict = await use(copy, chosen.path, reference);
    const count = counts.get(chosen.path);
    if (count) count.verdicts[verdict] = (count.verdicts[verdict] ?? 0) + 1;
  }
  return [...counts.values()];
}

try {
  const [finished, stopped] = [join(home, 'finished'), join(home, 'stopped')];
  await train(finished);
  const { code } = await train(stopped, { stopAt: '2/2 lamp' });
  if (code !== exitCodes.interrupted) throw new Error('the second run was not stopped');
  const counts = [...(await check('finished', finished)), ...(await check('mid-phase', stopped))];
  const columns: readonly Verdict[] = ['found', 'harmless', 'found, not named', 'silently used'];
  const total = (verdict: Verdict) => counts.reduce((sum, { verdicts }) => sum + (verdicts[verdict] ?? 0), 0);
  const rows = counts.map(({ state, file, verdicts }) => [
    state,
    file,
    ...columns.map((verdict) => String(verdicts[verdict] ?? 0)),
  ]);
  const totals = ['both', 'all files', ...columns.map((verdict) => String(total(verdict)))];
  for (const line of formatTable(['run', 'file', ...columns], [...rows, totals])) console.log(line);
  if (values.json) await writeWhole(values.json, `${JSON.stringify(counts, null, 2)}\n`);
  if (total('silently used') + total('found, not named') > 0) process.exitCode = 1;
} finally {
  await rm(home, { recursive: true, force: true });
}
