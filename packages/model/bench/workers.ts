/**
 * How far a second worker thread, or a second process, raises the steps per second of one LoRA layer, and what memory it takes.
 *
 * Every lane has its own tfjs and kernels, one thread each. One lane and two, threads and processes are measured in turn; medians of the rounds.
 * Where other work keeps cores busy, the rate per second on a core says what the lanes take from each other, waiting for a core left out.
 * Usage: npm run bench:workers -- [--ground onnx,wasm] [--rounds N] [--seconds S] [--json FILE]
 */
import { fork } from 'node:child_process';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';

import type { Kernels } from '@contextlora/kernels';
import { writeWhole } from '@contextlora/lora';

import type { LaneAnswer, LaneOrder } from './workers-lane.js';

const { values } = parseArgs({
  options: {
    ground: { type: 'string', default: 'onnx,wasm' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
});

interface Lane {
  order(order: LaneOrder): Promise<LaneAnswer>;
  end(): Promise<void>;
}

const lanePath = join(import.meta.dirname, 'workers-lane.ts');
const kinds = { threads: startThread, processes: startProcess };
const results: Record<string, unknown>[] = [];
for (const ground of values.ground.split(',') as Kernels['ground'][]) results.push(await measure(ground));
if (values.json) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);

async function measure(ground: Kernels['ground']): Promise<Record<string, unknown>> {
  const lanes = { threads: [] as Lane[], processes: [] as Lane[] };
  // Of this process with no, one and two threads; of each child.
  const residentBytes = { threads: [process.memoryUsage().rss], processes: [] as number[] };
  let wasmHeapBytes = 0;
  for (const kind of ['threads', 'processes'] as const)
    for (let i = 0; i < 2; i++) {
      const lane = kinds[kind]();
      const opened = await lane.order({ type: 'open', ground });
      lanes[kind].push(lane);
      residentBytes[kind].push(opened.residentBytes);
      ({ wasmHeapBytes } = opened);
    }
  const rates = { threads: [[], []] as LaneAnswer[][][], processes: [[], []] as LaneAnswer[][][] };
  for (let round = 0; round < Number(values.rounds); round++)
    for (const kind of ['threads', 'processes'] as const)
      for (const count of [1, 2]) {
        const order: LaneOrder = { type: 'measure', seconds: Number(values.seconds) };
        const answers = await Promise.all(lanes[kind].slice(0, count).map((lane) => lane.order(order)));
        rates[kind][count - 1]?.push(answers);
      }
  await Promise.all([...lanes.threads, ...lanes.processes].map((lane) => lane.end()));
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
      `${ground.padEnd(9)} ${kind.padEnd(9)}  steps/s: ${show(perSecond)}  steps/s on a core: ${show(perCpuSecond)}`,
    );
  console.log(
    `${''.padEnd(9)} resident: this process with 0, 1, 2 threads ${mebibytes(residentBytes.threads)} MiB; ` +
      `each process ${mebibytes(residentBytes.processes)} MiB; wasm heap of a lane ${mebibytes([wasmHeapBytes])} MiB; ` +
      `load ${loadavg()[0]?.toFixed(1)}`,
  );
  return { ground, ...summary, residentBytes, wasmHeapBytes, load: loadavg()[0] };
}

function startThread(): Lane {
  // tsx hooks the main thread only: the worker registers it for itself.
  const code =
    `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))})` +
    `.then(({ register }) => { register(); return import(${JSON.stringify(pathToFileURL(lanePath).href)}); })`;
  const worker = new Worker(code, { eval: true, execArgv: process.execArgv });
  return laneOver(worker, (order) => {
    worker.postMessage(order);
  });
}

function startProcess(): Lane {
  const child = fork(lanePath, { execArgv: process.execArgv });
  return laneOver(child, (order) => {
    child.send(order);
  });
}

function laneOver(source: Pick<NodeJS.EventEmitter, 'once' | 'off'>, send: (order: LaneOrder) => void): Lane {
  return {
    order: (order) =>
      new Promise((resolve, reject) => {
        const fail = (cause: unknown) => {
          reject(cause instanceof Error ? cause : new Error(`a lane ended early (${String(cause)})`));
        };
        source.once('error', fail).once('exit', fail);
        source.once('message', (answer: LaneAnswer) => {
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
