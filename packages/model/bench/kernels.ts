/**
 * Times a whole LoRA step (forward, backward, clipping, AdamW) of this project, on bases in one or several formats,
 * and of PyTorch with PEFT in float32 and bfloat16, interleaved in one run.
 *
 * Each side has its own process, so that peak memory is measured separately; they step in turn, never at once.
 * Case d, with 1 B parameters, needs a compact base: --case d --base q4_0.
 * Usage: npm run bench:kernels -- [--case a,b1,b4,c] [--threads 1,2] [--steps N] [--python FILE] [--backend G] [--base FORMAT,…] [--peers float32,bfloat16] [--profile] [--json FILE]
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
    peers: { type: 'string', default: 'float32,bfloat16' },
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
  const sides: { readonly label: string; readonly side: Side }[] = [];
  for (const base of values.base.split(',')) {
    const side = await start(
      process.execPath,
      [...process.execArgv, join(import.meta.dirname, 'step-process.ts')],
      { name, threads, rank, backend: values.backend, base },
    );
    if (typeof side === 'string') throw new Error(side);
    sides.push({ label: `ours ${base}`, side });
  }
  for (const dtype of values.peers.split(',').filter((one) => one !== '')) {
    const side =
      peerMissing ??
      (await start(values.python, [join(import.meta.dirname, 'peer.py')], {
        ...{ shape: text, batch, time, threads, rank, dtype },
      }));
    if (typeof side === 'string') peerMissing = side;
    else sides.push({ label: `PyTorch ${dtype}`, side });
  }
  const answers = sides.map((): StepAnswer[] => []);
  for (let i = 0; i < steps + warmUpSteps; i++)
    for (const [index, { side }] of sides.entries()) {
      const answer = await side.step();
      if (i >= warmUpSteps) answers[index]?.push(answer);
    }
  for (const { side } of sides) side.end();
  const flops = stepFlops(bench, rank);
  const summaries = sides.map(({ label, side }, i) => {
    const of = answers[i] ?? [];
    const fastestMilliseconds = Math.min(...of.map(({ milliseconds }) => milliseconds));
    return {
      ...{ label, about: side.about, trainedParameters: side.trainedParameters },
      medianMilliseconds: median(of.map(({ milliseconds }) => milliseconds)),
      fastestMilliseconds,
      // Compares the best step with the best large float32 product, both from a quiet moment of the machine.
      shareOfCeiling: flops / (fastestMilliseconds / 1000) / side.productFlopsPerSecond,
      ceilingGigaflopsPerSecond: side.productFlopsPerSecond / 1e9,
      peakMebibytes: Math.max(...of.map(({ peakBytes }) => peakBytes)) / 2 ** 20,
      operations: medianOperations(of),
    };
  });
  results.push({ case: name, threads, batch, time, sides: summaries });
  const isOurs = ({ label }: { label: string }) => label.startsWith('ours');
  const peers = summaries.filter((one) => !isOurs(one));
  for (const one of summaries) {
    const ratios = isOurs(one)
      ? peers.map(
          (peer) =>
            `  to ${peer.label} ${(one.medianMilliseconds / peer.medianMilliseconds).toFixed(2)} of the time, ` +
            `${(one.peakMebibytes / peer.peakMebibytes).toFixed(2)} of the memory`,
        )
      : [];
    console.log(
      `${name.padEnd(3)} ${batch}x${time} ${threads} thread${threads === 1 ? ' ' : 's'}  ${one.label.padEnd(16)} ` +
        `${one.medianMilliseconds.toFixed(0).padStart(6)} ms (fastest ${one.fastestMilliseconds.toFixed(0)}, ` +
        `${(100 * one.shareOfCeiling).toFixed(0)} % of ${one.ceilingGigaflopsPerSecond.toFixed(0)} GF/s), ${one.peakMebibytes.toFixed(0)} MiB` +
        ratios.join(''),
    );
    if (values.profile && isOurs(one)) printOperations(one);
  }
}

function printOperations({
  operations,
  medianMilliseconds,
}: {
  readonly operations: Readonly<Record<string, number>>;
  readonly medianMilliseconds: number;
}): void {
  const inside = Object.values(operations).reduce((sum, milliseconds) => sum + milliseconds, 0);
  for (const [operation, milliseconds] of Object.entries(operations).sort(([, x], [, y]) => y - x))
    console.log(`      ${operation.padEnd(20)} ${milliseconds.toFixed(1).padStart(8)} ms`);
  console.log(`      ${'outside'.padEnd(20)} ${(medianMilliseconds - inside).toFixed(1).padStart(8)} ms`);
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
