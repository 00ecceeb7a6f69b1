/** Matrix products by onnxruntime, reading and writing the tfjs wasm heap in place. */
import type * as tf from '@tensorflow/tfjs-core';

import type { LinearWeight, LoraSegment, SegmentGradient } from './kernels.js';
import { batchedGraph, linearBackwardGraph, linearGraph } from './onnx-graphs.js';
import { encodeOnnxModel, type OnnxGraph } from './onnx-model.js';
import type { OnnxRuntime, OnnxSession } from './onnx-runtime.js';
import type { Products } from './products.js';
import type { WasmHeap } from './wasm-heap.js';

interface OnnxWeight extends LinearWeight {
  /** Made when it is used: what lies on the heap moves when the heap grows. */
  readonly weight: () => unknown;
  readonly bias: unknown;
}

/** Products over a loaded runtime and an open heap; `threads` are those of one product. */
export function createOnnxProducts(
  runtime: OnnxRuntime,
  heap: WasmHeap,
  { threads }: { readonly threads: number },
): Products {
  const sessions = new Map<string, OnnxSession>();
  const plain = (values: Float32Array, shape: readonly number[]) => runtime.tensor('float32', values, shape);

  const sessionOf = (key: string, makeGraph: () => OnnxGraph) => {
    const known = sessions.get(key);
    if (known) return known;
    const session = runtime.load(encodeOnnxModel(makeGraph()), threads);
    sessions.set(key, session);
    return session;
  };

  /**
   * Runs a graph. `tensors` lie on the heap; `others` makes runtime tensors, of memory outside it or of views; both are asked for after
   * the outputs are allocated, because an allocation may move the heap.
   */
  const run = (
    session: OnnxSession,
    {
      tensors,
      others,
      outputs,
    }: {
      tensors: Readonly<Record<string, tf.Tensor>>;
      others: () => Readonly<Record<string, unknown>>;
      outputs: Readonly<Record<string, readonly number[]>>;
    },
  ): Record<string, tf.Tensor> => {
    const made = Object.entries(outputs).map(([name, shape]) => [name, heap.allocate(shape)] as const);
    const feeds: Record<string, unknown> = { ...others() };
    const fetches: Record<string, unknown> = {};
    for (const [name, tensor] of Object.entries(tensors))
      feeds[name] = plain(heap.view(tensor), tensor.shape);
    for (const [name, tensor] of made) fetches[name] = plain(heap.view(tensor), tensor.shape);
    session.run(feeds, fetches, {});
    return Object.fromEntries(made);
  };
  const one = (result: Record<string, tf.Tensor>, name: string) => result[name] as tf.Tensor2D;

  const scaleOf = ({ scale }: LoraSegment) => plain(Float32Array.of(scale), [1]);

  return {
    prepareLinear(weight, outFeatures, inFeatures, bias): OnnxWeight {
      const tensor = plain(weight, [outFeatures, inFeatures]);
      return {
        outFeatures,
        inFeatures,
        hasBias: bias !== undefined,
        // Outside the wasm heap: the base does not count against its 4 GiB.
        weight: () => tensor,
        bias: bias && plain(bias, [outFeatures]),
        dispose: () => undefined,
      };
    },

    weightAt: (address, outFeatures, inFeatures, bias): OnnxWeight => ({
      outFeatures,
      inFeatures,
      hasBias: bias !== undefined,
      weight: () => plain(heap.floatsAt(address, outFeatures * inFeatures), [outFeatures, inFeatures]),
      bias: bias && plain(bias, [outFeatures]),
      dispose: () => undefined,
    }),

    linear(x, weight, segments) {
      const { weight: w, bias, outFeatures, hasBias } = weight as OnnxWeight;
      const [rows] = x.shape;
      const result = run(
        sessionOf(`linear/${segments.length}/${hasBias}`, () => linearGraph(segments.length, hasBias)),
        {
          tensors: {
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
          },
          others: () => ({
            w: w(),
            ...(hasBias ? { bias } : {}),
            ...Object.fromEntries(segments.map((segment, i) => [`s${i}`, scaleOf(segment)])),
          }),
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
        sessionOf(`linearBackward/${trained.map(Number).join('')}/${input}`, () =>
          linearBackwardGraph(trained, input),
        ),
        {
          tensors: {
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
          },
          others: () => ({
            ...(input ? { w: w() } : {}),
            ...Object.fromEntries(used.map((segment) => [`s${segment.i}`, scaleOf(segment)])),
          }),
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

    batched({ a, b, batch, m, n, k, transposeA = false, transposeB = false, alpha = 1 }, allocate) {
      const session = sessionOf(`batched/${transposeA}/${transposeB}/${alpha}`, () =>
        batchedGraph({ transposeA, transposeB, alpha }),
      );
      const c = allocate([batch, m, n]);
      session.run(
        {
          a: plain(heap.view(a), transposeA ? [batch, k, m] : [batch, m, k]),
          b: plain(heap.view(b), transposeB ? [batch, n, k] : [batch, k, n]),
        },
        { c: plain(heap.view(c), [batch, m, n]) },
        {},
      );
      return c;
    },

    dispose() {
      for (const session of sessions.values()) session.dispose?.();
      sessions.clear();
    },
  };
}
