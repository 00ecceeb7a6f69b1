/**
 * Times a whole LoRA step (forward, backward, clipping, AdamW) of this project and of PyTorch with PEFT, interleaved in one run.
 *
 * Each side has its own process, so that peak memory is measured separately; the two step in turn, never at once.
 * Case d, with 1 B parameters, needs a compact base: --case d --base q4_0.
 * Usage: npm run bench:kernels -- [--case a,b1,b4,c] [--threads 1,2] [--steps N] [--python FILE] [--backend G] [--base FORMAT] [--profile] [--json FILE]
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { writeWhole } from '@contextlora/lora/files';

import { benchCases, stepFlops, type BenchCase } from './shapes.js';

const { values } = parseArgs({
  options: {
    case: { type: 'string', default: 'a,b1,b4,c' },
    threads: { type: 'string', default: '1,2' },
    steps: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    backend: { type: 'string', default: 'onnx' },
    base: { type: 'string', default: 'f32' },
    profile: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const rank = 8;
const warmUpSteps = 2;

interface StepAnswer {
  readonly milliseconds: number;
  readonly peakBytes: number;
  readonly loss: number;
  /** Milliseconds by operation; this project's side only. */
  readonly operations?: Readonly<Record<string, number>>;
}

interface Side {
  readonly about: string;
  readonly trainedParameters: number;
  readonly productFlopsPerSecond: number;
  step(): Promise<StepAnswer>;
  end(): void;
}

const results: Record<string, unknown>[] = [];
const wanted = values.case.split(',');
let peerMissing: string | undefined;
for (const bench of benchCases.filter(({ name }) => wanted.includes(name)))
  for (const threads of values.threads.split(',').map(Number)) await measure(bench, threads);
if (peerMissing !== undefined)
  console.log(
    `PyTorch was not measured: ${peerMissing}. --python names an interpreter that has torch and peft.`,
  );
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);

async function measure(bench: BenchCase, threads: number): Promise<void> {
  const { name, text, batch, time } = bench;
  const steps = Number(values.steps ?? (text.layerCount > 8 ? 7 : 25));
  const own = await start(
    process.execPath,
    [...process.execArgv, join(import.meta.dirname, 'step-process.ts')],
    { name, threads, rank, backend: values.backend, base: values.base },
  );
  if (typeof own === 'string') throw new Error(own);
  const peer =
    peerMissing ??
    (await start(values.python, [join(import.meta.dirname, 'peer.py')], {
      shape: text,
      batch,
      time,
      threads,
      rank,
    }));
  if (typeof peer === 'string') peerMissing = peer;
  const sides = [own, ...(typeof peer === 'string' ? [] : [peer])];
  const answers = sides.map((): StepAnswer[] => []);
  for (let i = 0; i < steps + warmUpSteps; i++)
    for (const [index, side] of sides.entries()) {
      const answer = await side.step();
      if (i >= warmUpSteps) answers[index]?.push(answer);
    }
  for (const side of sides) side.end();
  const flops = stepFlops(bench, rank);
  const summaries = answers.map((of, i) => ({
    medianMilliseconds: median(of.map(({ milliseconds }) => milliseconds)),
    // Compares the best step with the best large product, both from a quiet moment of the machine.
    shareOfCeiling:
      flops /
      (Math.min(...of.map(({ milliseconds }) => milliseconds)) / 1000) /
      (sides[i]?.productFlopsPerSecond ?? NaN),
    ceilingGigaflopsPerSecond: (sides[i]?.productFlopsPerSecond ?? NaN) / 1e9,
    fastestMilliseconds: Math.min(...of.map(({ milliseconds }) => milliseconds)),
    peakMebibytes: Math.max(...of.map(({ peakBytes }) => peakBytes)) / 2 ** 20,
  }));
  const [ours, theirs] = summaries;
  if (!ours) return;
  const operations = medianOperations(answers[0] ?? []);
  results.push({
    case: name,
    threads,
    batch,
    time,
    trainedParameters: sides.map((side) => side.trainedParameters),
    sides: sides.map(({ about }) => about),
    ours,
    operations,
    ...(theirs ? { theirs, timeRatio: ours.medianMilliseconds / theirs.medianMilliseconds } : {}),
  });
  const show = (of: typeof ours) =>
    `${of.medianMilliseconds.toFixed(0)} ms (fastest ${of.fastestMilliseconds.toFixed(0)}, ` +
    `${(100 * of.shareOfCeiling).toFixed(0)} % of ${of.ceilingGigaflopsPerSecond.toFixed(0)} GF/s), ${of.peakMebibytes.toFixed(0)} MiB`;
  console.log(
    `${name.padEnd(3)} ${batch}x${time} ${threads} thread${threads === 1 ? ' ' : 's'}  ours ${show(ours)}` +
      (theirs
        ? `  PyTorch ${show(theirs)}  time ratio ${(ours.medianMilliseconds / theirs.medianMilliseconds).toFixed(2)}` +
          `  memory ratio ${(ours.peakMebibytes / theirs.peakMebibytes).toFixed(2)}`
        : ''),
  );
  if (!values.profile) return;
  const inside = Object.values(operations).reduce((sum, milliseconds) => sum + milliseconds, 0);
  for (const [operation, milliseconds] of Object.entries(operations).sort(([, x], [, y]) => y - x))
    console.log(`      ${operation.padEnd(20)} ${milliseconds.toFixed(1).padStart(8)} ms`);
  console.log(
    `      ${'outside'.padEnd(20)} ${(ours.medianMilliseconds - inside).toFixed(1).padStart(8)} ms`,
  );
}

function medianOperations(answers: readonly StepAnswer[]): Record<string, number> {
  const names = Object.keys(answers[0]?.operations ?? {});
  return Object.fromEntries(
    names.map((name) => [name, median(answers.map(({ operations }) => operations?.[name] ?? 0))]),
  );
}

/** Starts one side and waits until it is ready; returns the reason if it is not available. */
async function start(command: string, args: readonly string[], settings: object): Promise<Side | string> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const failed = new Promise<string>((resolve) => {
    child.once('error', ({ message }) => {
      resolve(message);
    });
  });
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${JSON.stringify(settings)}\n`);
  const read = async (): Promise<Record<string, unknown>> => {
    const first = await Promise.race([lines.next(), failed]);
    if (typeof first === 'string') return { missing: first };
    if (first.done) return { missing: `${command} ended early` };
    return JSON.parse(first.value) as Record<string, unknown>;
  };
  const { ready, missing, trainedParameters, productFlopsPerSecond } = await read();
  if (typeof ready !== 'string') return String(missing);
  return {
    about: ready,
    trainedParameters: Number(trainedParameters),
    productFlopsPerSecond: Number(productFlopsPerSecond),
    async step() {
      child.stdin.write('step\n');
      const answer = await read();
      if (typeof answer['missing'] === 'string') throw new Error(answer['missing']);
      return answer as unknown as StepAnswer;
    },
    end() {
      child.stdin.end();
    },
  };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}
