/**
 * The native ground in Node: the fast ground's operations, with matrix products by onnxruntime that read and write the tfjs wasm heap
 * in place.
 */
import type * as tf from '@tensorflow/tfjs-core';

import { createFusedKernels } from './create-fused-kernels.js';
import type { Kernels, LinearWeight, LoraSegment, SegmentGradient } from './kernels.js';
import { openLowRank, type LowRank } from './low-rank.js';
import { batchedGraph, linearBackwardGraph, linearGraph } from './onnx-graphs.js';
import { encodeOnnxModel, type OnnxGraph } from './onnx-model.js';
import type { OnnxRuntime, OnnxSession } from './onnx-runtime.js';
import type { Products } from './products.js';
import { openScratch } from './scratch.js';
import type { WasmHeap } from './wasm-heap.js';
import { openWasmModule } from './wasm-module.js';

interface OnnxWeight extends LinearWeight {
  readonly weight: unknown;
  readonly bias: unknown;
}

/** Makes the ground over a loaded runtime and an open heap; `threads` are those of one product. */
export function createOnnxKernels(
  runtime: OnnxRuntime,
  heap: WasmHeap,
  { threads }: { threads: number },
): Kernels {
  const module = openWasmModule(heap);
  const scratch = openScratch(heap);
  const native = onnxProducts(runtime, heap, threads);
  // A second thread makes up for the copies that the native products make of a thin operand's result.
  const products = threads === 1 ? withLowRank(native, openLowRank({ heap, module, scratch })) : native;
  return createFusedKernels('onnx', { heap, module, scratch, products });
}

/** Base products native, segments in wasm. */
const withLowRank = (native: Products, lowRank: LowRank): Products => ({
  ...native,
  linear(x, weight, segments) {
    const { y } = native.linear(x, weight, []);
    return { y, hidden: segments.map((segment) => lowRank.addSegment(x, y, segment)) };
  },
  linearBackward(dy, { x, hidden }, weight, segments, owed) {
    const { dx } = owed.input ? native.linearBackward(dy, { x, hidden: [] }, weight, [], owed) : { dx: null };
    return {
      dx,
      segments: segments.map((segment, i) => lowRank.segmentBackward(dy, { x, h: hidden[i]! }, dx, segment)),
    };
  },
});

function onnxProducts(runtime: OnnxRuntime, heap: WasmHeap, threads: number): Products {
  const sessions = new Map<string, OnnxSession>();
  const plain = (values: Float32Array, shape: readonly number[]) => runtime.tensor('float32', values, shape);

  /**
   * Runs a graph. `tensors` lie on the heap; `others` are runtime tensors outside it; outputs are allocated on the heap before any
   * view of it is taken, because an allocation may move the heap.
   */
  const run = (
    key: string,
    makeGraph: () => OnnxGraph,
    {
      tensors,
      others = {},
      outputs,
    }: {
      tensors: Readonly<Record<string, { tensor: tf.Tensor; shape?: readonly number[] }>>;
      others?: Readonly<Record<string, unknown>>;
      outputs: Readonly<Record<string, readonly number[]>>;
    },
  ): Record<string, tf.Tensor> => {
    let session = sessions.get(key);
    if (!session) {
      session = runtime.load(encodeOnnxModel(makeGraph()), threads);
      sessions.set(key, session);
    }
    const made = Object.entries(outputs).map(([name, shape]) => ({ name, tensor: heap.allocate(shape) }));
    const feeds: Record<string, unknown> = { ...others };
    const fetches: Record<string, unknown> = {};
    for (const [name, { tensor, shape = tensor.shape }] of Object.entries(tensors))
      feeds[name] = plain(heap.view(tensor), shape);
    for (const { name, tensor } of made) fetches[name] = plain(heap.view(tensor), tensor.shape);
    session.run(feeds, fetches, {});
    return Object.fromEntries(made.map(({ name, tensor }) => [name, tensor]));
  };
  const onHeap = (tensors: Readonly<Record<string, tf.Tensor>>) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, { tensor }]));
  const one = (result: Record<string, tf.Tensor>, name: string) => result[name] as tf.Tensor2D;

  const scaleOf = ({ scale }: LoraSegment) => plain(Float32Array.of(scale), [1]);

  return {
    prepareLinear(weight, outFeatures, inFeatures, bias): OnnxWeight {
      return {
        outFeatures,
        inFeatures,
        hasBias: bias !== undefined,
        // Outside the wasm heap: the base does not count against its 4 GiB.
        weight: plain(weight, [outFeatures, inFeatures]),
        bias: bias && plain(bias, [outFeatures]),
        dispose: () => undefined,
      };
    },

    linear(x, weight, segments) {
      const { weight: w, bias, outFeatures, hasBias } = weight as OnnxWeight;
      const [rows] = x.shape;
      const result = run(
        `linear/${segments.length}/${hasBias}`,
        () => linearGraph(segments.length, hasBias),
        {
          tensors: onHeap({
            x,
            ...Object.fromEntries(
              segments.flatMap(
                ({ a, b }, i) =>
                  [
                    [`a${i}`, a],
                    [`b${i}`, b],
                  ] as const,
              ),
            ),
          }),
          others: {
            w,
            ...(hasBias ? { bias } : {}),
            ...Object.fromEntries(segments.map((segment, i) => [`s${i}`, scaleOf(segment)])),
          },
          outputs: {
            y: [rows, outFeatures],
            ...Object.fromEntries(segments.map(({ a }, i) => [`h${i}`, [rows, a.shape[0]]])),
          },
        },
      );
      return { y: one(result, 'y'), hidden: segments.map((_, i) => one(result, `h${i}`)) };
    },

    linearBackward(dy, { x, hidden }, weight, segments, { input }) {
      const { weight: w, inFeatures } = weight as OnnxWeight;
      const trained = segments.map(({ train }) => train);
      const used = segments.flatMap((segment, i) => (input || segment.train ? [{ ...segment, i }] : []));
      const result = run(
        `linearBackward/${trained.map(Number).join('')}/${input}`,
        () => linearBackwardGraph(trained, input),
        {
          tensors: onHeap({
            dy,
            ...(trained.includes(true) ? { x } : {}),
            ...Object.fromEntries(
              used.flatMap(({ a, b, train, i }) => {
                const h = hidden[i];
                return [
                  [`b${i}`, b] as const,
                  ...(input ? [[`a${i}`, a] as const] : []),
                  ...(train && h ? [[`h${i}`, h] as const] : []),
                ];
              }),
            ),
          }),
          others: {
            ...(input ? { w } : {}),
            ...Object.fromEntries(used.map((segment) => [`s${segment.i}`, scaleOf(segment)])),
          },
          outputs: {
            ...(input ? { dx: [x.shape[0], inFeatures] } : {}),
            ...Object.fromEntries(
              used.flatMap(({ a, b, train, i }) =>
                train ? [[`da${i}`, a.shape] as const, [`db${i}`, b.shape] as const] : [],
              ),
            ),
          },
        },
      );
      const gradients = segments.map(({ train }, i): SegmentGradient | null =>
        train ? { a: one(result, `da${i}`), b: one(result, `db${i}`) } : null,
      );
      return { dx: input ? one(result, 'dx') : null, segments: gradients };
    },

    batched({ a, b, batch, m, n, k, transposeA = false, transposeB = false, alpha = 1 }) {
      const { c } = run(
        `batched/${transposeA}/${transposeB}/${alpha}`,
        () => batchedGraph({ transposeA, transposeB, alpha }),
        {
          tensors: {
            a: { tensor: a, shape: transposeA ? [batch, k, m] : [batch, m, k] },
            b: { tensor: b, shape: transposeB ? [batch, n, k] : [batch, k, n] },
          },
          outputs: { c: [batch, m, n] },
        },
      );
      return c!;
    },

    dispose() {
      for (const session of sessions.values()) session.dispose?.();
      sessions.clear();
    },
  };
}
