/**
 * Would a whole block be faster as one onnxruntime graph? Times the MLP block of a decoder layer (norm, gate, up, SwiGLU, down, sum; a
 * segment on each product), forward and backward, as two graphs and as the operations of this package, interleaved, after comparing their
 * results.
 *
 * Usage: npm run bench:graphs -- [--rounds N] [--threads N] [--json FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import {
  loadOnnxRuntime,
  openKernels,
  openWasmHeap,
  type LoraSegment,
  type OnnxTensor,
} from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';

import { mlpBackwardGraph, mlpForwardGraph } from './mlp-graphs.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '60' },
    threads: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const threads = Number(values.threads);
const rank = 8;
const epsilon = 1e-5;
const shapes = [
  { name: 'a', rows: 1024, hidden: 128, wide: 384 },
  { name: 'b1', rows: 128, hidden: 576, wide: 1536 },
  { name: 'b4', rows: 1024, hidden: 576, wide: 1536 },
];

const kernels = await openKernels({ prefer: 'onnx', threads });
const heap = openWasmHeap();
const runtime = loadOnnxRuntime();
if (typeof heap === 'string') throw new Error(heap);
if (typeof runtime === 'string') throw new Error(runtime);
const sessions = {
  forward: runtime.load(mlpForwardGraph(epsilon), threads),
  backward: runtime.load(mlpBackwardGraph(), threads),
};

const results = [];
for (const { name, rows, hidden, wide } of shapes) {
  const random = numbers(1);
  const matrix = (m: number, n: number, scale = 1) => tf.tensor2d(random(m * n, scale), [m, n]);
  const sizes = { gate: [wide, hidden], up: [wide, hidden], down: [hidden, wide] } as const;
  const bases = mapValues(sizes, ([m, n]) => random(m * n, 1 / Math.sqrt(n)));
  const segments = mapValues(sizes, ([m, n]): LoraSegment => ({
    a: matrix(rank, n, 0.1),
    b: matrix(m, rank, 0.1),
    scale: 2,
    train: true,
  }));
  const gain = random(hidden).map((value) => 1 + 0.1 * value);
  const [x, dy] = [matrix(rows, hidden), matrix(rows, hidden)];
  const weights = mapValues(sizes, ([m, n], linear) => kernels.prepareLinear(bases[linear], m, n));

  const byOperations = () => {
    const norm = kernels.rmsNorm(x, gain, epsilon);
    const gate = kernels.linear(norm.y, weights.gate, [segments.gate]);
    const up = kernels.linear(norm.y, weights.up, [segments.up]);
    const activation = kernels.swiglu(gate.y, up.y);
    const down = kernels.linear(activation.y, weights.down, [segments.down]);
    const y = kernels.add(x, down.y);
    const needed = { input: true };
    const back = {
      down: kernels.linearBackward(dy, down.saved, weights.down, [segments.down], needed),
    };
    const { dGate, dUp } = kernels.swigluBackward(back.down.dx!, activation.saved);
    const backGate = kernels.linearBackward(dGate, gate.saved, weights.gate, [segments.gate], needed);
    const backUp = kernels.linearBackward(dUp, up.saved, weights.up, [segments.up], needed);
    const dn = kernels.add(backGate.dx!, backUp.dx!);
    const throughNorm = kernels.rmsNormBackward(dn, norm.saved, gain);
    const dx = kernels.add(throughNorm, dy);
    const gradients = [backGate, backUp, back.down].flatMap(({ segments: [of] }) => [of!.a, of!.b]);
    for (const { saved } of [norm, gate, up, activation, down]) saved.dispose();
    tf.dispose([norm.y, gate.y, up.y, activation.y, down.y, back.down.dx!, dGate, dUp]);
    tf.dispose([backGate.dx!, backUp.dx!, dn, throughNorm]);
    return [y, dx, ...gradients];
  };

  const constants: Record<string, OnnxTensor> = {
    gain: { values: gain, shape: [hidden] },
    scale: { values: Float32Array.of(2), shape: [1] },
    one: { values: Float32Array.of(1), shape: [1] },
    ...Object.fromEntries(
      Object.entries(bases).map(([linear, base]) => [
        `${linear}W`,
        { values: base, shape: sizes[linear as keyof typeof sizes] },
      ]),
    ),
  };
  const segmentTensors = Object.fromEntries(
    Object.entries(segments).flatMap(([linear, { a, b }]) => [
      [`${linear}A`, a],
      [`${linear}B`, b],
    ]),
  );
  const run = (
    session: { run(inputs: Record<string, OnnxTensor>, outputs: Record<string, OnnxTensor>): void },
    tensors: Readonly<Record<string, tf.Tensor>>,
    outputs: Readonly<Record<string, readonly number[]>>,
  ) => {
    const made = mapValues(outputs, (shape) => heap.allocate(shape));
    const lie = (of: Readonly<Record<string, tf.Tensor>>) =>
      mapValues(of, (tensor) => ({ values: heap.view(tensor), shape: tensor.shape }));
    session.run({ ...constants, ...lie(tensors) }, lie(made));
    return made;
  };
  const byGraphs = () => {
    const hiddenShapes = { gateH: [rows, rank], upH: [rows, rank], downH: [rows, rank] };
    const kept = run(
      sessions.forward,
      { x, ...segmentTensors },
      {
        ...{ y: [rows, hidden], n: [rows, hidden], inverse: [rows, 1] },
        ...{ gate: [rows, wide], up: [rows, wide], activation: [rows, wide], ...hiddenShapes },
      },
    );
    const { y, ...saved } = kept;
    const gradientShapes = Object.fromEntries(
      Object.entries(segments).flatMap(([linear, { a, b }]) => [
        [`${linear}DA`, a.shape],
        [`${linear}DB`, b.shape],
      ]),
    );
    const { dx, ...gradients } = run(
      sessions.backward,
      { x, dy, ...segmentTensors, ...saved },
      { dx: [rows, hidden], ...gradientShapes },
    );
    tf.dispose(saved);
    return [y!, dx!, ...Object.values(gradients)];
  };

  const sides = { operations: byOperations, graphs: byGraphs };
  const [ours, theirs] = [byOperations(), byGraphs()];
  const worst = Math.max(...ours.map((tensor, i) => relativeError(tensor, theirs[i]!)));
  tf.dispose([...ours, ...theirs]);
  if (!(worst < 1e-4)) throw new Error(`the two ways differ by ${worst}`);
  const times: Record<keyof typeof sides, number[]> = { operations: [], graphs: [] };
  for (let round = 0; round < Number(values.rounds); round++)
    for (const side of ['operations', 'graphs'] as const) {
      const start = performance.now();
      const made = sides[side]();
      times[side].push(performance.now() - start);
      tf.dispose(made);
    }
  const milliseconds = mapValues(times, (of) => [...of].sort((p, q) => p - q));
  const at = (share: number) =>
    mapValues(milliseconds, (of) => of[Math.floor((of.length - 1) * share)] ?? NaN);
  const [median, fast] = [at(0.5), at(0.1)];
  results.push({ name, rows, hidden, wide, threads, worstError: worst, median, fastTenth: fast });
  console.log(
    `${name.padEnd(3)} ${rows} x ${hidden} x ${wide}, ${threads} thread(s)  operations ${median.operations.toFixed(2)} ms  ` +
      `graphs ${median.graphs.toFixed(2)} ms  ratio graphs / operations ${(median.graphs / median.operations).toFixed(2)} ` +
      `(fastest tenth ${(fast.graphs / fast.operations).toFixed(2)})  worst difference ${worst.toExponential(1)}`,
  );
  tf.dispose([x, dy, ...Object.values(segmentTensors)]);
  for (const weight of Object.values(weights)) weight.dispose();
}
for (const session of Object.values(sessions)) session.dispose();
kernels.dispose();
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);

function mapValues<K extends string, V, R>(of: Readonly<Record<K, V>>, map: (value: V, key: K) => R) {
  return Object.fromEntries(
    Object.entries<V>(of).map(([key, value]) => [key, map(value, key as K)]),
  ) as Record<K, R>;
}

/** Seeded numbers in (−scale, scale). */
function numbers(seed: number) {
  let state = seed;
  return (length: number, scale = 1) =>
    Float32Array.from({ length }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return scale * (state / 2 ** 31 - 1);
    });
}

function relativeError(a: tf.Tensor, b: tf.Tensor): number {
  const [p, q] = [a.dataSync(), b.dataSync()];
  let [worst, largest] = [0, 0];
  for (let i = 0; i < p.length; i++) {
    worst = Math.max(worst, Math.abs(p[i]! - q[i]!));
    largest = Math.max(largest, Math.abs(p[i]!));
  }
  return worst / largest;
}
