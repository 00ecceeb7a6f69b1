/**
 * Measures loading: seconds, bytes read, and the largest growth of the process relative to the bytes of the weights kept.
 *
 * A synthetic Hugging Face directory (random weights, SmolLM2-135M's shape) is written to a temporary folder and loaded as f32, bf16 and
 * compact; with --models, a folder that contains SmolLM2-135M-Instruct, its GGUF file is loaded too. Each load has its own process.
 * Usage: npm run bench:load -- [--models DIRECTORY] [--backend onnx|wasm] [--rounds 3] [--json FILE]
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { writeWhole } from '@contextlora/lora/files';
import { linearsOf, modelTensors, parseModelSpec, publishedConfig } from '@contextlora/model';

const { values } = parseArgs({
  options: {
    models: { type: 'string' },
    backend: { type: 'string', default: 'onnx' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
});
const config = publishedConfig('smollm2-135m')!;
const spec = parseModelSpec(config, 'the synthetic config');
const tensors = modelTensors(spec);
const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
const parameters = [...tensors.values()].reduce((sum, shape) => sum + size(shape), 0);
const inLinears = linearsOf(spec).reduce(
  (sum, { inFeatures, outFeatures }) => sum + inFeatures * outFeatures,
  0,
);
const outside = 4 * (parameters - inLinears);
const bytesPerWeight = { f32: 4, f16: 2, int8: 1, q4_0: 18 / 32, q4_1: 20 / 32 };
const directory = await mkdtemp(join(tmpdir(), 'load-'));

interface Case {
  readonly name: string;
  readonly path: string;
  readonly base?: string;
  readonly keptBytes: number;
  readonly tokenizer?: string;
}
const cases: Case[] = [];
const tokenizer = join(import.meta.dirname, '../test/fixtures/llama-tiny');
try {
  for (const dtype of ['F32', 'BF16'] as const) {
    const path = join(directory, dtype);
    await writeModel(path, dtype);
    for (const base of dtype === 'F32'
      ? (['f32', 'q4_0'] as const)
      : (['f32', 'f16', 'int8', 'q4_0'] as const))
      cases.push({
        name: `directory, ${dtype} kept as ${base}`,
        path,
        base,
        tokenizer,
        keptBytes: outside + inLinears * bytesPerWeight[base],
      });
  }
  const gguf = values.models && join(values.models, 'SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf');
  if (gguf && (await stat(gguf).catch(() => undefined))) {
    const head = 49_152 * 576;
    // The embedding is kept only as 8-bit blocks, which the output matrix shares.
    const stored = outside - 4 * head + inLinears * bytesPerWeight.q4_1 + head * (34 / 32);
    cases.push({ name: 'SmolLM2 Q4_1 GGUF, as stored', path: gguf, keptBytes: stored });
    // The same with a small tokenizer, because the memory of its own, with 49,152 tokens, is not that of weights.
    cases.push({ name: 'the same, small tokenizer', path: gguf, tokenizer, keptBytes: stored });
    cases.push({ name: 'SmolLM2 Q4_1 GGUF, as f32', path: gguf, base: 'f32', keptBytes: 4 * parameters });
  }
  await measure();
} finally {
  await rm(directory, { recursive: true, force: true });
}

interface Answer {
  readonly backend: string;
  readonly seconds: number;
  readonly peakBytes: number;
  readonly bytesRead: number;
}

async function measure(): Promise<void> {
  const child = join(import.meta.dirname, 'load-process.ts');
  const answers = new Map<string, Answer[]>();
  for (let round = 0; round < Number(values.rounds); round++)
    for (const { name, path, base, tokenizer: beside } of cases) {
      const settings = JSON.stringify({ path, base, tokenizer: beside, backend: values.backend });
      const output = execFileSync(process.execPath, [...process.execArgv, child, settings], {
        encoding: 'utf8',
      });
      answers.set(name, [
        ...(answers.get(name) ?? []),
        JSON.parse(output.trim().split('\n').at(-1)!) as Answer,
      ]);
    }
  const rows = cases.map(({ name, path, keptBytes }) => {
    const own = answers.get(name)!;
    const fileBytes = path.endsWith('.gguf') ? 98_362_432 : undefined;
    return {
      name,
      backend: own[0]!.backend,
      keptBytes,
      ...(fileBytes === undefined ? {} : { fileBytes }),
      seconds: median(own.map(({ seconds }) => seconds)),
      peakBytes: median(own.map(({ peakBytes }) => peakBytes)),
      bytesRead: own[0]!.bytesRead,
    };
  });
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`.padStart(10);
  console.log(
    `${'checkpoint'.padEnd(32)}${'kept'.padStart(10)}${'read'.padStart(10)}${'growth'.padStart(10)}  growth / kept   seconds`,
  );
  for (const row of rows)
    console.log(
      `${row.name.padEnd(32)}${mib(row.keptBytes)}${mib(row.bytesRead)}${mib(row.peakBytes)}${(row.peakBytes / row.keptBytes).toFixed(2).padStart(15)}${row.seconds.toFixed(2).padStart(10)}`,
    );
  if (values.json) await writeWhole(values.json, `${JSON.stringify(rows, null, 2)}\n`);
}

function median(of: readonly number[]): number {
  return [...of].sort((p, q) => p - q)[Math.floor(of.length / 2)] ?? NaN;
}

/** Writes a config, and the weights tensor by tensor. */
async function writeModel(path: string, dtype: 'F32' | 'BF16'): Promise<void> {
  const { mkdir } = await import('node:fs/promises');
  await mkdir(path);
  await writeFile(join(path, 'config.json'), JSON.stringify(config));
  const bytes = dtype === 'F32' ? 4 : 2;
  let offset = 0;
  const header = Object.fromEntries(
    [...tensors].map(([name, shape]) => {
      const start = offset;
      offset += size(shape) * bytes;
      return [name, { dtype, shape, data_offsets: [start, offset] }];
    }),
  );
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  const pool = Float32Array.from({ length: 2 ** 20 }, (_, i) => Math.sin(i * 12.9898) * 0.05);
  const words = new Uint16Array(pool.buffer);
  const chunk =
    dtype === 'F32'
      ? new Uint8Array(pool.buffer)
      : new Uint8Array(Uint16Array.from({ length: 2 ** 20 }, (_, i) => words[2 * i + 1]!).buffer);
  const file = await open(join(path, 'model.safetensors'), 'w');
  await file.write(prefix);
  await file.write(json);
  for (let at = 0; at < offset; at += chunk.length)
    await file.write(chunk.subarray(0, Math.min(chunk.length, offset - at)));
  await file.close();
}
