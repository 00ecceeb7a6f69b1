/** One worker of `npm run bench:workers`, a worker thread or a process: steps one layer on request, with its own tfjs and kernels. */
import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

import { openKernels, openWasmHeap, type Kernels } from '@contextlora/kernels';
import { initialiseSegments, partitionRanks } from '@contextlora/lora';
import { createLocalModel, linearsOf, type Example } from '@contextlora/model';

import { randomModel } from './random-model.js';
import { benchCases } from './shapes.js';

/** A request to a worker; `end` is the last. */
export type WorkerOrder =
  | { readonly type: 'open'; readonly backend: Kernels['backend'] }
  | { readonly type: 'measure'; readonly seconds: number }
  | { readonly type: 'end' };

export interface WorkerAnswer {
  readonly stepsPerSecond: number;
  /** Per second in which the worker had a core; NaN where the system does not say. */
  readonly stepsPerCpuSecond: number;
  readonly wasmHeapBytes: number;
  /** Of the whole process. */
  readonly residentBytes: number;
}

const id = 'task';
const port = parentPort;
const answer = (message: WorkerAnswer) => {
  if (port) port.postMessage(message);
  else process.send?.(message);
};
let step = (): Promise<unknown> => Promise.reject(new Error('internal: the worker is not open'));
// One request at a time: the parent waits for each answer.
(port ?? process).on('message', (order: WorkerOrder) => {
  void obey(order);
});

async function obey(order: WorkerOrder): Promise<void> {
  switch (order.type) {
    case 'open':
      step = await openStep(order.backend);
      await measure(0.5);
      break;
    case 'measure':
      await measure(order.seconds);
      break;
    case 'end':
      // The thread ends itself, because terminating it from outside during a native call can abort the process.
      process.exit(0);
      break;
    default:
      order satisfies never;
  }
}

async function measure(seconds: number): Promise<void> {
  const start = performance.now();
  const cpuStart = cpuSeconds();
  let steps = 0;
  let taken = 0;
  while (taken < seconds) {
    await step();
    steps += 1;
    taken = (performance.now() - start) / 1000;
  }
  const heap = openWasmHeap();
  answer({
    stepsPerSecond: steps / taken,
    stepsPerCpuSecond: steps / (cpuSeconds() - cpuStart),
    wasmHeapBytes: typeof heap === 'string' ? NaN : heap.memory.buffer.byteLength,
    residentBytes: process.memoryUsage().rss,
  });
}

/** Time this thread has spent on a core (Linux: proc_pid_schedstat(5)). */
function cpuSeconds(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e9;
  } catch {
    return NaN;
  }
}

/** A LoRA step through one layer of SmolLM2-135M's sizes and a small head. */
async function openStep(backend: Kernels['backend']): Promise<() => Promise<unknown>> {
  const bench = benchCases.find(({ name }) => name === 'b1')!;
  const text = { ...bench.text, layerCount: 1, vocabularySize: 1024 };
  const base = randomModel(text, await openKernels({ prefer: backend }), 'f32');
  const partition = partitionRanks(linearsOf(base.spec), [{ id, dependsOn: [] }], { rank: 8 });
  const model = createLocalModel(base, { partition, segments: initialiseSegments(partition, { seed: 0 }) });
  await model.setPhase({ tasks: [id], roles: { [id]: { [id]: 'train' } } });
  const tokenIds = Array.from({ length: bench.time - 1 }, (_, i) => (i * 7) % text.vocabularySize);
  const examples: Example[] = [{ prompt: '', answer: tokenIds.join(' ') }];
  return () => model.step(id, [examples], { learningRate: 1e-4 });
}
