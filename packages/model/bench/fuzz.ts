/**
 * Opens damaged checkpoints and adapters for a while: small fixtures with random and structured mutations. Every outcome must be
 * success or one of our errors, within small limits of time and memory.
 *
 * Usage: npm run fuzz -- [--seconds 60] [--seed 1] [--from ITERATION] [--json FILE]
 */
import { fork } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { KernelsError, openKernels } from '@contextlora/kernels';
import { keyedRandom, LoraError } from '@contextlora/lora';
import { readPeftFolder, writeWhole } from '@contextlora/lora/files';
import {
  batchOf,
  languageLogits,
  type LoadedModel,
  loadModel,
  ModelError,
  renderChat,
} from '@contextlora/model';

import { smallGguf, writeGguf } from '../test/write-gguf.js';
import { mutate } from './mutations.js';

const fixtures = join(import.meta.dirname, '../test/fixtures');
/** The limits of CPU time and memory for one input. */
const limits = { seconds: 5, growthBytes: 400 * 2 ** 20 };

/** The files of each target; one of them is damaged at a time. */
const targets: Readonly<Record<string, { readonly folder?: string; readonly damage: readonly string[] }>> = {
  'gguf, small': { damage: ['file.gguf'] },
  'gguf, mixed types': { folder: 'gguf-mixed', damage: ['mixed.gguf'] },
  safetensors: {
    folder: 'llama-tiny',
    damage: [
      'model.safetensors',
      'config.json',
      'generation_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'chat_template.jinja',
    ],
  },
  'shards and index': {
    folder: 'llama-tiny-sharded-bf16',
    damage: ['model.safetensors.index.json', 'model-00001-of-00002.safetensors', 'config.json'],
  },
  'vision-language': {
    folder: 'llava-tiny',
    damage: ['config.json', 'preprocessor_config.json', 'model.safetensors'],
  },
  adapter: { folder: 'lora-patterns', damage: ['adapter_config.json', 'adapter_model.safetensors'] },
};

const llavaProcessor = {
  do_resize: true,
  size: { shortest_edge: 32 },
  resample: 3,
  do_center_crop: true,
  crop_size: { height: 32, width: 32 },
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.48, 0.46, 0.41],
  image_std: [0.27, 0.26, 0.28],
};

interface Settings {
  readonly seconds: number;
  readonly seed: number;
  readonly from: number;
}
interface Report {
  readonly iterations: number;
  readonly outcomes: Record<string, Record<string, number>>;
  readonly slowestSeconds: number;
  readonly slowest: string;
  readonly largestGrowthBytes: number;
  readonly failures: readonly string[];
}

if (process.send) await work(JSON.parse(process.argv[2] ?? '{}') as Settings);
else await watch();

/** Runs the work in a separate process, so that an endless input is noticed. */
async function watch(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      from: { type: 'string', default: '0' },
      json: { type: 'string' },
    },
  });
  const settings: Settings = {
    seconds: Number(values.seconds),
    seed: Number(values.seed),
    from: Number(values.from),
  };
  const worker = fork(import.meta.filename, [JSON.stringify(settings)], { execArgv: process.execArgv });
  let current = 'the first input';
  let last = performance.now();
  const report = await new Promise<Report>((resolve, reject) => {
    const timer = setInterval(() => {
      if (performance.now() - last < 30_000) return;
      clearInterval(timer);
      worker.kill('SIGKILL');
      reject(new Error(`no end after 30 s: ${current}`));
    }, 1000);
    worker.on('message', (message: string | Report) => {
      last = performance.now();
      if (typeof message === 'string') current = message;
      else {
        clearInterval(timer);
        resolve(message);
      }
    });
    worker.on('exit', (code) => {
      clearInterval(timer);
      reject(new Error(`the process ended with ${code}: ${current}`));
    });
  });
  for (const [target, outcomes] of Object.entries(report.outcomes)) {
    const total = Object.values(outcomes).reduce((sum, n) => sum + n, 0);
    const most = Object.entries(outcomes).sort(([, p], [, q]) => q - p);
    console.log(`${target.padEnd(20)}${String(total).padStart(7)} inputs, ${outcomes['read'] ?? 0} read`);
    for (const [outcome, count] of most.filter(([name]) => name !== 'read').slice(0, 4))
      console.log(`${' '.repeat(20)}${String(count).padStart(7)} ${outcome}`);
  }
  console.log(
    `${report.iterations} inputs, seed ${settings.seed}; slowest ${report.slowestSeconds.toFixed(2)} s of CPU time (${report.slowest}), memory grew by at most ${(report.largestGrowthBytes / 2 ** 20).toFixed(0)} MiB`,
  );
  for (const failure of report.failures) console.log(`FAILED ${failure}`);
  if (values.json) await writeWhole(values.json, `${JSON.stringify({ ...settings, ...report }, null, 2)}\n`);
  if (report.failures.length > 0) process.exitCode = 1;
}

async function work({ seconds, seed, from }: Settings): Promise<void> {
  const kernels = await openKernels({ prefer: 'reference' });
  const directory = await mkdtemp(join(tmpdir(), 'fuzz-'));
  const originals = await readTargets();
  const names = Object.keys(originals);
  for (const target of names) {
    await mkdir(join(directory, target));
    for (const [file, bytes] of originals[target]!) await writeFile(join(directory, target, file), bytes);
  }
  const outcomes: Record<string, Record<string, number>> = {};
  const failures: string[] = [];
  let [slowestSeconds, slowest, largestGrowthBytes] = [0, '', 0];
  const baseBytes = process.memoryUsage().rss;
  const end = performance.now() + 1000 * seconds;
  let i = from;
  for (; performance.now() < end && failures.length < 20; i++) {
    const random = keyedRandom(seed, 'fuzz', String(i));
    const target = names[i % names.length]!;
    const files = originals[target]!;
    const damage = targets[target]!.damage;
    const file = damage[random.integer(damage.length)]!;
    const { bytes, kind } = mutate(files.get(file)!, file, random);
    const what = `${target}: ${file}, ${kind}, --seed ${seed} --from ${i}`;
    process.send?.(what);
    await writeFile(join(directory, target, file), bytes);
    // CPU time, because a busy machine can keep the process from running for longer than the limit.
    const before = process.cpuUsage();
    const outcome = await outcomeOf(target, join(directory, target), file);
    const { user, system } = process.cpuUsage(before);
    const took = (user + system) / 1e6;
    await writeFile(join(directory, target, file), files.get(file)!);
    const of = (outcomes[target] ??= {});
    of[outcome] = (of[outcome] ?? 0) + 1;
    if (took > slowestSeconds) [slowestSeconds, slowest] = [took, what];
    const growth = process.memoryUsage().rss - baseBytes;
    largestGrowthBytes = Math.max(largestGrowthBytes, growth);
    if (took > limits.seconds) failures.push(`${what}: took ${took.toFixed(1)} s`);
    if (growth > limits.growthBytes)
      failures.push(`${what}: memory grew by ${Math.round(growth / 2 ** 20)} MiB`);
    if (outcome.startsWith('not ours: ')) failures.push(`${what}: ${outcome}`);
  }

  async function outcomeOf(target: string, path: string, file: string): Promise<string> {
    try {
      if (target === 'adapter') {
        await readPeftFolder(path);
        return 'read';
      }
      const model = await loadModel(file.endsWith('.gguf') ? join(path, file) : path, {
        kernels,
        ...(target === 'shards and index' ? { tokenizerDirectory: join(directory, 'safetensors') } : {}),
      });
      try {
        use(model);
      } finally {
        model.dispose();
      }
      return 'read';
    } catch (error) {
      const { message, stack } = error as Error;
      const isOurs =
        error instanceof ModelError || error instanceof KernelsError || error instanceof LoraError;
      if (!isOurs) return `not ours: ${stack ?? message}`;
      // Numbers and names differ between inputs; the rest identifies the check.
      return message
        .replaceAll(directory, '')
        .replace(/"[^"]*"|'[^']*'/g, '"…"')
        .replace(/-?\d[\d.e+]*/g, 'n')
        .split('\n', 1)[0]!
        .replace(/^.*?(?:json|gguf|safetensors|mixed types|adapter|index): ?/, '')
        .slice(0, 70);
    }
  }

  kernels.dispose();
  await rm(directory, { recursive: true, force: true });
  const report: Report = {
    iterations: i - from,
    outcomes,
    slowestSeconds,
    slowest,
    largestGrowthBytes,
    failures,
  };
  process.send?.(report);
}

/** What a caller does next: encode and decode text, render a chat, and compute the logits of two tokens. */
function use(model: LoadedModel): void {
  const { tokenizer } = model;
  const ids = tokenizer.encode('the cat <s> 12');
  tokenizer.decode(ids);
  if (tokenizer.chatTemplate !== undefined) renderChat(tokenizer, [{ role: 'user', content: 'the cat' }]);
  const row = ids.slice(0, 2);
  if (row.length === 0) return;
  languageLogits(model, batchOf(model, [row], []), {
    head: { rows: Int32Array.of(row.length - 1) },
  }).dispose();
}

async function readTargets(): Promise<Record<string, Map<string, Uint8Array>>> {
  const result: Record<string, Map<string, Uint8Array>> = {};
  for (const [target, { folder, damage }] of Object.entries(targets)) {
    const files = new Map<string, Uint8Array>();
    result[target] = files;
    if (folder === undefined) {
      files.set('file.gguf', writeGguf(smallGguf));
      continue;
    }
    // The fixture has none; this is the template of published LLaVA models.
    if (target === 'vision-language')
      files.set('preprocessor_config.json', Buffer.from(JSON.stringify(llavaProcessor)));
    const others = [
      'tokenizer.json',
      'tokenizer_config.json',
      'config.json',
      'model.safetensors',
      'model-00002-of-00002.safetensors',
    ];
    for (const name of [...damage, ...others]) {
      const bytes = await readFile(join(fixtures, folder, name)).catch(() => undefined);
      if (bytes) files.set(name, bytes);
    }
  }
  return result;
}
