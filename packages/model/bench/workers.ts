/**
 * Measures how much a second worker thread or process raises the steps per second of one LoRA layer, and its memory.
 *
 * Every worker has its own tfjs and kernels, with one thread each. One and two workers, threads and processes, are measured in turn; results are medians of the rounds.
 * If other work keeps cores busy, the rate per second on a core shows how much the workers slow each other, without the wait for a core.
 * Usage: npm run bench:workers -- [--backend onnx,wasm] [--rounds N] [--seconds S] [--json FILE]
 */
import { fork } from 'node:child_process';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';

import type { Kernels } from '@contextlora/kernels';
import { writeWhole } from '@contextlora/lora/files';

import type { WorkerAnswer, WorkerOrder } from './worker-steps.js';

const { values } = parseArgs({
  options: {
    backend: { type: 'string', default: 'onnx,wasm' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
});

interface StepWorker {
  order(order: WorkerOrder): Promise<WorkerAnswer>;
  end(): Promise<void>;
}

const workerPath = join(import.meta.dirname, 'worker-steps.ts');
const kinds = { threads: startThread, processes: startProcess };
const results: Record<string, unknown>[] = [];
for (const backend of values.backend.split(',') as Kernels['backend'][]) results.push(await measure(backend));
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);

async function measure(backend: Kernels['backend']): Promise<Record<string, unknown>> {
  const workers = { threads: [] as StepWorker[], processes: [] as StepWorker[] };
  // Memory of this process with no, one and two threads, and of each child.
  const residentBytes = { threads: [process.memoryUsage().rss], processes: [] as number[] };
  let wasmHeapBytes = 0;
  for (const kind of ['threads', 'processes'] as const)
    for (let i = 0; i < 2; i++) {
      const worker = kinds[kind]();
      const opened = await worker.order({ type: 'open', backend });
      workers[kind].push(worker);
      residentBytes[kind].push(opened.residentBytes);
      ({ wasmHeapBytes } = opened);
    }
  const rates = { threads: [[], []] as WorkerAnswer[][][], processes: [[], []] as WorkerAnswer[][][] };
  for (let round = 0; round < Number(values.rounds); round++)
    for (const kind of ['threads', 'processes'] as const)
      for (const count of [1, 2]) {
        const order: WorkerOrder = { type: 'measure', seconds: Number(values.seconds) };
        const answers = await Promise.all(workers[kind].slice(0, count).map((worker) => worker.order(order)));
        rates[kind][count - 1]?.push(answers);
      }
  await Promise.all([...workers.threads, ...workers.processes].map((worker) => worker.end()));
  const summary = Object.fromEntries(
    (['threads', 'processes'] as const).map((kind) => {
      const medians = (rate: 'stepsPerSecond' | 'stepsPerCpuSecond') => {
        const [one = NaN, two = NaN] = rates[kind].map((rounds) =>
          median(rounds.map((answers) => answers.reduce((sum, of) => sum + of[rate], 0))),
        );
        return { one, two, ratio: two / one };
      };
      return [kind, { perSecond: medians('stepsPerSecond'), perCpuSecond: medians('stepsPerCpuSecond') }];
    }),
  );
  const mebibytes = (bytes: readonly number[]) => bytes.map((of) => (of / 2 ** 20).toFixed(0)).join(', ');
  const show = ({ one, two, ratio }: { one: number; two: number; ratio: number }) =>
    `one ${one.toFixed(1)}, two ${two.toFixed(1)}, ratio ${ratio.toFixed(2)}`;
  for (const [kind, { perSecond, perCpuSecond }] of Object.entries(summary))
    console.log(
      `${backend.padEnd(9)} ${kind.padEnd(9)}  steps/s: ${show(perSecond)}  steps/s on a core: ${show(perCpuSecond)}`,
    );
  console.log(
    `${''.padEnd(9)} resident: this process with 0, 1, 2 threads ${mebibytes(residentBytes.threads)} MiB; ` +
      `each process ${mebibytes(residentBytes.processes)} MiB; wasm heap of a worker ${mebibytes([wasmHeapBytes])} MiB; ` +
      `load ${loadavg()[0]?.toFixed(1)}`,
  );
  return { backend, ...summary, residentBytes, wasmHeapBytes, load: loadavg()[0] };
}

function startThread(): StepWorker {
  // tsx hooks only the main thread, so the worker registers it again.
  const code =
    `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))})` +
    `.then(({ register }) => { register(); return import(${JSON.stringify(pathToFileURL(workerPath).href)}); })`;
  const thread = new Worker(code, { eval: true, execArgv: process.execArgv });
  return workerOver(thread, (order) => {
    thread.postMessage(order);
  });
}

function startProcess(): StepWorker {
  const child = fork(workerPath, { execArgv: process.execArgv });
  return workerOver(child, (order) => {
    child.send(order);
  });
}

function workerOver(
  source: Pick<NodeJS.EventEmitter, 'once' | 'off'>,
  send: (order: WorkerOrder) => void,
): StepWorker {
  return {
    order: (order) =>
      new Promise((resolve, reject) => {
        const fail = (cause: unknown) => {
          reject(cause instanceof Error ? cause : new Error(`a worker ended early (${String(cause)})`));
        };
        source.once('error', fail).once('exit', fail);
        source.once('message', (answer: WorkerAnswer) => {
          source.off('error', fail).off('exit', fail);
          resolve(answer);
        });
        send(order);
      }),
    end: () =>
      new Promise((resolve) => {
        source.once('exit', () => {
          resolve();
        });
        send({ type: 'end' });
      }),
  };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}
