/**
 * The fast ground in Node: fused native graphs that read and write the tfjs wasm heap in place.
 *
 * What fusing does not speed up (gather, gelu's backward, layer norm's backward) is the reference's.
 */
import type * as tf from '@tensorflow/tfjs-core';
import { dispose } from '@tensorflow/tfjs-core';

import { attentionMask } from './attention-mask.js';
import { crossEntropyInPlace } from './cross-entropy.js';
import type {
  AttentionShape,
  GeluVariant,
  Kernels,
  LinearWeight,
  LoraSegment,
  RotaryShape,
  RotaryTable,
  Saved,
  SegmentGradient,
} from './kernels.js';
import {
  attentionBackwardGraph,
  attentionGraph,
  geluErfGraph,
  geluQuickGraph,
  geluTanhGraph,
  layerNormGraph,
  linearBackwardGraph,
  linearGraph,
  rmsNormBackwardGraph,
  rmsNormGraph,
  rotaryGraph,
  swigluBackwardGraph,
  swigluGraph,
} from './onnx-graphs.js';
import { encodeOnnxModel, type OnnxGraph } from './onnx-model.js';
import type { OnnxRuntime, OnnxSession } from './onnx-runtime.js';
import { createReferenceKernels } from './reference-kernels.js';
import { requireLength, requireShape } from './require-shape.js';
import type { WasmHeap } from './wasm-heap.js';

interface OnnxWeight extends LinearWeight {
  readonly weight: unknown;
  readonly bias: unknown;
}

interface LinearSaved extends Saved {
  readonly x: tf.Tensor2D;
  readonly hidden: readonly tf.Tensor2D[];
}

interface RmsNormSaved extends Saved {
  readonly x: tf.Tensor2D;
  readonly inverse: tf.Tensor2D;
}

interface LayerNormSaved extends Saved {
  readonly x: tf.Tensor2D;
  readonly epsilon: number;
}

interface AttentionSaved extends Saved {
  readonly q: tf.Tensor2D;
  readonly k: tf.Tensor2D;
  readonly v: tf.Tensor2D;
  readonly probabilities: tf.Tensor;
}

interface PairSaved extends Saved {
  readonly gate: tf.Tensor2D;
  readonly up: tf.Tensor2D;
}

/** Makes the fast ground over a loaded runtime and an open heap; `threads` are those of one operation. */
export function createOnnxKernels(
  runtime: OnnxRuntime,
  heap: WasmHeap,
  { threads }: { threads: number },
): Kernels {
  const reference = createReferenceKernels();
  const sessions = new Map<string, OnnxSession>();
  const plain = (values: Float32Array, shape: readonly number[]) => runtime.tensor('float32', values, shape);
  const integers = (...values: readonly number[]) =>
    runtime.tensor('int64', BigInt64Array.from(values, BigInt), [values.length]);

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
      graphShapes = {},
    }: {
      tensors: Readonly<Record<string, { tensor: tf.Tensor; shape?: readonly number[] }>>;
      others?: Readonly<Record<string, unknown>>;
      outputs: Readonly<Record<string, readonly number[]>>;
      /** Where the graph says a shape otherwise than its caller: the same bytes. */
      graphShapes?: Readonly<Record<string, readonly number[]>>;
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
    for (const { name, tensor } of made)
      fetches[name] = plain(heap.view(tensor), graphShapes[name] ?? tensor.shape);
    session.run(feeds, fetches, {});
    return Object.fromEntries(made.map(({ name, tensor }) => [name, tensor]));
  };
  const onHeap = (tensors: Readonly<Record<string, tf.Tensor>>) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, { tensor }]));
  const one = (result: Record<string, tf.Tensor>, name: string) => result[name] as tf.Tensor2D;

  const scaleOf = ({ scale }: LoraSegment) => plain(Float32Array.of(scale), [1]);

  const rotate = (
    x: tf.Tensor2D,
    { time: positions, halfDim, cos, sin }: RotaryTable,
    { batch, time, heads, headDim }: RotaryShape,
    { offset, direction }: { offset: number; direction: 1 | -1 },
  ) => {
    requireShape('rotary', 'x', x, [batch * time, heads * headDim]);
    if (headDim !== 2 * halfDim || offset + time > positions)
      throw new Error(
        `kernels/rotary: the table has ${positions} positions of half dimension ${halfDim}; ` +
          `positions up to ${offset + time} of half dimension ${headDim / 2} are needed`,
      );
    const rows = (values: Float32Array) =>
      plain(values.subarray(0, positions * halfDim), [positions, halfDim]);
    const { y } = run('rotary', () => rotaryGraph, {
      tensors: { x: { tensor: x, shape: [batch, time, heads * headDim] } },
      others: {
        position: integers(offset),
        cos: rows(cos),
        sin: rows(direction === 1 ? sin : sin.map((value) => -value)),
      },
      outputs: { y: [batch * time, heads * headDim] },
      graphShapes: { y: [batch, time, heads * headDim] },
    });
    return y as tf.Tensor2D;
  };

  const headShapes = ({ batch, time, heads, kvHeads, headDim }: AttentionShape) => ({
    qSplit: integers(batch, time, heads, headDim),
    qGrouped: integers(batch, kvHeads, (heads / kvHeads) * time, headDim),
    qHeads: integers(batch, heads, time, headDim),
    qRows: integers(batch * time, heads * headDim),
    kvSplit: integers(batch, time, kvHeads, headDim),
    kvGrouped: integers(batch, kvHeads, time, headDim),
  });

  return {
    ...reference,
    ground: 'onnx',

    prepareLinear(weight, outFeatures, inFeatures, bias): OnnxWeight {
      requireLength('prepareLinear', 'the weight', weight.length, outFeatures * inFeatures);
      if (bias) requireLength('prepareLinear', 'the bias', bias.length, outFeatures);
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

    linear(x, weight, segments = []) {
      const { weight: w, bias, outFeatures, inFeatures, hasBias } = weight as OnnxWeight;
      requireShape('linear', 'x', x, [null, inFeatures]);
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
      const hidden = segments.map((_, i) => one(result, `h${i}`));
      const saved: LinearSaved = {
        x,
        hidden,
        dispose: () => {
          dispose(hidden);
        },
      };
      return { y: one(result, 'y'), saved };
    },

    linearBackward(dy, saved, weight, segments, { input }) {
      const { weight: w, outFeatures, inFeatures } = weight as OnnxWeight;
      const { x, hidden } = saved as LinearSaved;
      requireShape('linearBackward', 'dy', dy, [x.shape[0], outFeatures]);
      const trained = segments.map(({ train }) => train);
      if (!input && !trained.includes(true)) return { dx: null, segments: segments.map(() => null) };
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

    rmsNorm(x, gain, epsilon) {
      requireShape('rmsNorm', 'x', x, [null, gain.length]);
      const result = run(`rmsNorm/${epsilon}`, () => rmsNormGraph(epsilon), {
        tensors: onHeap({ x }),
        others: { g: plain(gain, [gain.length]) },
        outputs: { y: x.shape, q: [x.shape[0], 1] },
      });
      const inverse = one(result, 'q');
      const saved: RmsNormSaved = {
        x,
        inverse,
        dispose: () => {
          dispose(inverse);
        },
      };
      return { y: one(result, 'y'), saved };
    },

    rmsNormBackward(dy, saved, gain) {
      const { x, inverse } = saved as RmsNormSaved;
      requireShape('rmsNormBackward', 'dy', dy, x.shape);
      const result = run('rmsNormBackward', () => rmsNormBackwardGraph, {
        tensors: onHeap({ dy, x, q: inverse }),
        others: { g: plain(gain, [gain.length]) },
        outputs: { dx: x.shape },
      });
      return one(result, 'dx');
    },

    layerNorm(x, gain, bias, epsilon) {
      requireShape('layerNorm', 'x', x, [null, gain.length]);
      requireLength('layerNorm', 'the bias', bias.length, gain.length);
      const [rows] = x.shape;
      const result = run(`layerNorm/${epsilon}`, () => layerNormGraph(epsilon), {
        tensors: onHeap({ x }),
        others: { g: plain(gain, [gain.length]), b: plain(bias, [bias.length]) },
        outputs: { y: x.shape, mean: [rows, 1], q: [rows, 1] },
      });
      const [mean, inverse] = [one(result, 'mean'), one(result, 'q')];
      const saved: LayerNormSaved = {
        x,
        epsilon,
        dispose: () => {
          dispose([mean, inverse]);
        },
      };
      return { y: one(result, 'y'), saved };
    },

    layerNormBackward(dy, saved, gain) {
      const { x, epsilon } = saved as LayerNormSaved;
      // Only vision towers have layer norms, and they are frozen: the reference recomputes what it needs.
      const again = reference.layerNorm(x, gain, new Float32Array(gain.length), epsilon);
      try {
        return reference.layerNormBackward(dy, again.saved, gain);
      } finally {
        again.saved.dispose();
        dispose(again.y);
      }
    },

    rotary: (x, table, shape, offset = 0) => rotate(x, table, shape, { offset, direction: 1 }),
    rotaryBackward: (dy, table, shape, offset = 0) => rotate(dy, table, shape, { offset, direction: -1 }),

    attention(q, k, v, shape) {
      const { batch, time, heads, kvHeads, headDim } = shape;
      requireShape('attention', 'q', q, [batch * time, heads * headDim]);
      requireShape('attention', 'k', k, [batch * time, kvHeads * headDim]);
      requireShape('attention', 'v', v, [batch * time, kvHeads * headDim]);
      if (heads % kvHeads !== 0)
        throw new Error(`kernels/attention: ${heads} heads cannot share ${kvHeads} key/value heads evenly`);
      if (shape.firstKeys) requireLength('attention', 'firstKeys', shape.firstKeys.length, batch);
      const groupTime = (heads / kvHeads) * time;
      const mask = attentionMask(shape);
      const result = run(
        `attention/${headDim}/${mask !== undefined}`,
        () => attentionGraph(1 / Math.sqrt(headDim), mask !== undefined),
        {
          tensors: onHeap({ q, k, v }),
          others: {
            ...headShapes(shape),
            ...(mask ? { mask: plain(mask.values, [mask.items, 1, groupTime, time]) } : {}),
          },
          outputs: { y: q.shape, p: [batch, kvHeads, groupTime, time] },
        },
      );
      const probabilities = one(result, 'p');
      const saved: AttentionSaved = {
        q,
        k,
        v,
        probabilities,
        dispose: () => {
          dispose(probabilities);
        },
      };
      return { y: one(result, 'y'), saved };
    },

    attentionBackward(dy, saved, shape) {
      const { q, k, v, probabilities: p } = saved as AttentionSaved;
      const { batch, time, kvHeads, headDim } = shape;
      requireShape('attentionBackward', 'dy', dy, q.shape);
      const result = run(
        `attentionBackward/${headDim}`,
        () => attentionBackwardGraph(1 / Math.sqrt(headDim)),
        {
          tensors: onHeap({ dy, q, k, v, p }),
          others: {
            ...headShapes(shape),
            kvHeads: integers(batch, kvHeads, time, headDim),
            kvRows: integers(batch * time, kvHeads * headDim),
            lastAxis: integers(-1),
          },
          outputs: { dq: q.shape, dk: k.shape, dv: v.shape },
        },
      );
      return { dq: one(result, 'dq'), dk: one(result, 'dk'), dv: one(result, 'dv') };
    },

    swiglu(gate, up) {
      requireShape('swiglu', 'up', up, gate.shape);
      const result = run('swiglu', () => swigluGraph, {
        tensors: onHeap({ g: gate, u: up }),
        outputs: { y: gate.shape },
      });
      const saved: PairSaved = { gate, up, dispose: () => undefined };
      return { y: one(result, 'y'), saved };
    },

    swigluBackward(dy, saved) {
      const { gate, up } = saved as PairSaved;
      requireShape('swigluBackward', 'dy', dy, gate.shape);
      const result = run('swigluBackward', () => swigluBackwardGraph, {
        tensors: onHeap({ dy, g: gate, u: up }),
        outputs: { dg: gate.shape, du: gate.shape },
      });
      return { dGate: one(result, 'dg'), dUp: one(result, 'du') };
    },

    gelu(x, variant: GeluVariant) {
      const graph = { tanh: geluTanhGraph, erf: geluErfGraph, quick: geluQuickGraph }[variant];
      const result = run(`gelu/${variant}`, () => graph, { tensors: onHeap({ x }), outputs: { y: x.shape } });
      const saved = { x, variant, dispose: () => undefined };
      return { y: one(result, 'y'), saved };
    },

    crossEntropy(logits, targets, weights) {
      const [rows] = logits.shape;
      requireLength('crossEntropy', 'targets', targets.length, rows);
      requireLength('crossEntropy', 'weights', weights.length, rows);
      const dLogits = heap.allocate(logits.shape) as tf.Tensor2D;
      const values = heap.view(dLogits);
      values.set(heap.view(logits));
      return { loss: crossEntropyInPlace(values, targets, weights), dLogits };
    },

    dispose() {
      for (const session of sessions.values()) session.dispose?.();
      sessions.clear();
    },
  };
}
