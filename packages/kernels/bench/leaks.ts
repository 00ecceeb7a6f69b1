/**
 * Runs a small decoder layer forward and backward with an optimizer step many times, and prints tensors, heaps and resident memory.
 *
 * Exits with 1 if any of them grows after the first tenth. Resident memory may vary, because V8 decides when to collect garbage; with
 * --collect it is collected before each sample, and what is still alive then may not grow.
 * Usage: npm run bench:leaks -- [--steps N] [--backend NAME] [--collect] [--json FILE]
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { openKernels, openWasmHeap, type Kernels } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '10000' },
    backend: { type: 'string', default: 'onnx' },
    collect: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const steps = Number(values.steps);
const kernels = await openKernels({ prefer: values.backend as Kernels['backend'] });
const heap = openWasmHeap();
if (typeof heap === 'string') throw new Error(heap);

const [batch, time, heads, headDim, vocabulary] = [2, 16, 2, 16, 256];
const hidden = heads * headDim;
const rows = batch * time;
const numbers = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i) / 8);
const weight = kernels.prepareLinear(numbers(hidden * hidden), hidden, hidden);
const head = kernels.prepareLinear(numbers(vocabulary * hidden), vocabulary, hidden);
const embedding = numbers(vocabulary * hidden);
const table = {
  time,
  halfDim: headDim / 2,
  cos: numbers((time * headDim) / 2),
  sin: numbers((time * headDim) / 2),
};
const shape = { batch, time, heads, kvHeads: heads, headDim, causal: true };
const gain = numbers(hidden);
const flat = { p: numbers(8 * hidden), m: new Float32Array(8 * hidden), v: new Float32Array(8 * hidden) };
const ids = Int32Array.from({ length: rows }, (_, i) => i * 7);
const even = new Float32Array(rows).fill(1 / rows);

const collect = values.collect ? garbageCollector() : () => undefined;
interface Sample {
  readonly step: number;
  readonly tensors: number;
  readonly wasmHeapBytes: number;
  /** V8's heap: objects, and the memory reserved for them. */
  readonly usedBytes: number;
  readonly reservedBytes: number;
  readonly residentBytes: number;
}
const samples: Sample[] = [];
const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
for (let step = 1; step <= steps; step++) {
  trainOnce(step);
  if (step % Math.ceil(steps / 10) !== 0) continue;
  collect();
  const { rss, heapUsed, heapTotal } = process.memoryUsage();
  const sample: Sample = {
    step,
    tensors: tf.memory().numTensors,
    wasmHeapBytes: heap.memory.buffer.byteLength,
    usedBytes: heapUsed,
    reservedBytes: heapTotal,
    residentBytes: rss,
  };
  samples.push(sample);
  console.log(
    `step ${String(step).padStart(6)}  ${sample.tensors} tensors  wasm heap ${mebibytes(sample.wasmHeapBytes)} MiB  ` +
      `V8 ${mebibytes(heapUsed)} of ${mebibytes(heapTotal)} MiB  resident ${mebibytes(rss)} MiB`,
  );
}
const [first, last] = [samples[0], samples.at(-1)];
if (!first || !last) throw new Error('--steps must be at least 1');
const swingBytes = 128 * 2 ** 20;
/** The size of compiled code varies by this much. */
const codeBytes = 2 ** 20;
const leaks =
  last.tensors > first.tensors ||
  last.wasmHeapBytes > first.wasmHeapBytes ||
  last.residentBytes > first.residentBytes + swingBytes ||
  (values.collect && last.usedBytes > first.usedBytes + codeBytes);
console.log(leaks ? 'something leaks' : 'nothing leaks');
if (values.json)
  await writeFile(values.json, `${JSON.stringify({ backend: kernels.backend, samples }, null, 2)}\n`);
process.exitCode = leaks ? 1 : 0;

/** V8's garbage collector, which is hidden by default. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

function trainOnce(step: number): void {
  const segment = {
    a: tf.tensor2d(flat.p.subarray(0, 4 * hidden), [4, hidden]),
    b: tf.tensor2d(flat.p.subarray(4 * hidden), [hidden, 4]),
    scale: 2,
    train: true,
  };
  const x = kernels.embedding(embedding, ids, hidden);
  const norm = kernels.rmsNorm(x, gain, 1e-5);
  const linear = kernels.linear(norm.y, weight, [segment]);
  const attention = kernels.attention(linear.y, linear.y, linear.y, shape, { table });
  const swiglu = kernels.swiglu(attention.y, linear.y);
  const { dx } = kernels.linearCrossEntropy(swiglu.y, head, ids, even, { input: true });
  const { dGate, dUp } = kernels.swigluBackward(dx!, swiglu.saved);
  const { dq, dk, dv } = kernels.attentionBackward(dGate, attention.saved, shape, { table });
  const sums = [kernels.add(dq, dk), kernels.add(dv, dUp)] as const;
  const dy = kernels.add(...sums);
  const back = kernels.linearBackward(dy, linear.saved, weight, [segment], { input: true });
  const dNorm = kernels.rmsNormBackward(back.dx!, norm.saved, gain);
  const gradients = back.segments[0]!;
  const g = new Float32Array(8 * hidden);
  g.set(gradients.a.dataSync());
  g.set(gradients.b.dataSync(), 4 * hidden);
  kernels.adamW(flat.p, g, flat.m, flat.v, {
    learningRate: 1e-4,
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    weightDecay: 0,
    step,
    gradientScale: 1,
  });
  for (const { saved } of [norm, linear, attention, swiglu]) saved.dispose();
  tf.dispose([segment.a, segment.b, x, norm.y, linear.y, attention.y, swiglu.y, dx!, dGate, dUp, dq, dk, dv]);
  tf.dispose([...sums, dy, back.dx!, dNorm, gradients.a, gradients.b]);
}
