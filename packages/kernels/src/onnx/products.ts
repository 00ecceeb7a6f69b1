/** Matrix products by onnxruntime, reading and writing the tfjs wasm heap in place. */
import type * as tf from '@contextlora/kernels/tfjs';

import type { FusedContext } from '../fused/context.js';
import { addBias, fewRows } from '../fused/few-rows.js';
import type { Products } from '../fused/products.js';
import type { LinearWeight, LoraSegment, SegmentGradient } from '../kernels.js';
import type { WasmHeap } from '../wasm/heap.js';
import type { WasmModule } from '../wasm/module.js';
import { batchedGraph, linearBackwardGraph, linearGraph, exponentialGraph } from './graphs.js';
import type { OnnxRuntime, OnnxSession, OnnxTensor } from './library.js';
import type { OnnxGraph } from './model.js';

interface OnnxWeight extends LinearWeight {
  /** Made at every use, because views of the heap are invalid once it has grown. */
  readonly weight: () => OnnxTensor;
  readonly bias: OnnxTensor | undefined;
  /** Moves a small weight to the heap for good, where a few rows are multiplied without the fixed cost of calling the runtime; returns its address. */
  readonly moveToHeap?: () => number;
  readonly biasValues?: Float32Array | undefined;
}

/** Above this size, reading the weight takes longer than the call. */
const smallWeightBytes = 2 ** 20;

/** Products over a loaded runtime and an open heap; one product uses `threads` threads. */
export function createOnnxProducts(
  runtime: OnnxRuntime,
  heap: WasmHeap,
  { threads, module }: { readonly threads: number; readonly module: WasmModule },
): Products & Required<Pick<FusedContext, 'exponential'>> {
  const sessions = new Map<string, OnnxSession>();
  const plain = (values: Float32Array, shape: readonly number[]): OnnxTensor => ({ values, shape });

  const sessionOf = (key: string, makeGraph: () => OnnxGraph, sessionThreads = threads) => {
    const known = sessions.get(key);
    if (known) return known;
    const session = runtime.load(makeGraph(), sessionThreads);
    sessions.set(key, session);
    return session;
  };

  /**
   * Runs a graph. `tensors` lie on the heap; `others` makes runtime tensors of memory outside it or of views of it. Both are read only
   * after the outputs are allocated, because an allocation may invalidate views of the heap.
   */
  const run = (
    session: OnnxSession,
    {
      tensors,
      others,
      outputs,
    }: {
      tensors: Readonly<Record<string, tf.Tensor>>;
      others: () => Readonly<Record<string, OnnxTensor>>;
      outputs: Readonly<Record<string, readonly number[]>>;
    },
  ): Record<string, tf.Tensor> => {
    const made = Object.entries(outputs).map(([name, shape]) => [name, heap.allocate(shape)] as const);
    const feeds: Record<string, OnnxTensor> = { ...others() };
    const fetches: Record<string, OnnxTensor> = {};
    for (const [name, tensor] of Object.entries(tensors))
      feeds[name] = plain(heap.view(tensor), tensor.shape);
    for (const [name, tensor] of made) fetches[name] = plain(heap.view(tensor), tensor.shape);
    session.run(feeds, fetches);
    return Object.fromEntries(made);
  };
  const outputOf = (result: Record<string, tf.Tensor>, name: string) => result[name] as tf.Tensor2D;

  const scaleOf = ({ scale }: LoraSegment) => plain(Float32Array.of(scale), [1]);

  return {
    prepareLinear(weight, outFeatures, inFeatures, bias): OnnxWeight {
      const shape = [outFeatures, inFeatures];
      // Outside the wasm heap, so that the base does not count against its 4 GiB.
      let place: { readonly outside: OnnxTensor } | { readonly address: number } = {
        outside: plain(weight, shape),
      };
      return {
        outFeatures,
        inFeatures,
        hasBias: bias !== undefined,
        weight: () =>
          'outside' in place ? place.outside : plain(heap.floatsAt(place.address, weight.length), shape),
        bias: bias && plain(bias, [outFeatures]),
        biasValues: bias,
        ...(weight.byteLength > smallWeightBytes
          ? {}
          : {
              moveToHeap() {
                if ('address' in place) return place.address;
                const address = heap.reserve(weight.byteLength);
                heap.floatsAt(address, weight.length).set(weight);
                place = { address };
                return address;
              },
            }),
        dispose() {
          if ('address' in place) heap.release(place.address);
        },
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
      const {
        weight: w,
        bias,
        outFeatures,
        inFeatures,
        hasBias,
        moveToHeap,
        biasValues,
      } = weight as OnnxWeight;
      const [rows] = x.shape;
      if (moveToHeap && rows <= fewRows && segments.length === 0) {
        const address = moveToHeap();
        const y = heap.allocate([rows, outFeatures]) as tf.Tensor2D;
        module.vectorProductF32(heap.address(x), address, heap.address(y), rows, outFeatures, inFeatures);
        if (biasValues) addBias(heap.view(y), biasValues);
        return { y, hidden: [] };
      }
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
            ...(bias ? { bias } : {}),
            ...Object.fromEntries(segments.map((segment, i) => [`s${i}`, scaleOf(segment)])),
          }),
          outputs: {
            y: [rows, outFeatures],
            ...Object.fromEntries(segments.map(({ a }, i) => [`h${i}`, [rows, a.shape[0]]])),
          },
        },
      );
      return { y: outputOf(result, 'y'), hidden: segments.map((_, i) => outputOf(result, `h${i}`)) };
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
        train ? { a: outputOf(result, `da${i}`), b: outputOf(result, `db${i}`) } : null,
      );
      return { dx: input ? outputOf(result, 'dx') : null, segments: gradients };
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
      );
      return c;
    },

    exponential(x, out) {
      const size = [x.shape.reduce((product, n) => product * n, 1)];
      // Threads would divide the values where no row ends, and round those at the cuts otherwise.
      sessionOf('exponential', exponentialGraph, 1).run(
        { x: plain(heap.view(x), size) },
        { y: plain(heap.view(out), size) },
      );
    },

    dispose() {
      for (const session of sessions.values()) session.dispose();
      sessions.clear();
    },
  };
}
