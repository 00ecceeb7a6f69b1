/** Decoder layers of a loaded model in the form that `@contextlora/jetson` measures. */
import type { MeasurableLayer } from '@contextlora/jetson';
import { countFlops, type WorkKind } from '@contextlora/kernels';
import * as tf from '@contextlora/kernels/tfjs';
import { decoderLayer, decoderLayerBackward, type LayerSegments, type LoadedModel } from '@contextlora/model';

import { WorkloadsError } from './workloads-error.js';

export interface MeasuredLayerOptions {
  /** Ranks of the trained segment in every linear layer. */
  readonly rank: number;
  /** Samples per pass; 1 by default. */
  readonly batch?: number;
  /** Layers per pass; 4 by default. The weights of a single layer would stay in a cache, which they do not in training. */
  readonly layers?: number;
}

/**
 * The model's first layers as one, for `batch` samples of `tokens` tokens. FLOPs are those of the products that `countFlops` counts.
 *
 * A backward pass uses what the last forward pass with as many tokens kept; `dispose` frees everything.
 *
 * @throws WorkloadsError if the model has no decoder layer.
 */
export function measuredLayer(
  model: LoadedModel,
  { rank, batch = 1, layers: most = 4 }: MeasuredLayerOptions,
): MeasurableLayer & { dispose(): void } {
  const { hiddenSize, heads, kvHeads, headDim, rmsEpsilon } = model.spec.text;
  const layers = model.layers.slice(0, most);
  const [weights] = layers;
  if (!weights)
    throw new WorkloadsError('WORKLOADS_MODEL_EMPTY', 'measuredLayer', 'the model has no decoder layer');
  const segmentsOf = (train: boolean): LayerSegments =>
    Object.fromEntries(
      Object.entries(weights.linears).map(([name, { inFeatures, outFeatures }]) => [
        name,
        [{ a: filled(rank, inFeatures, 0.05), b: filled(outFeatures, rank, 0.05), scale: 1, train }],
      ]),
    );
  const [training, frozen] = [segmentsOf(true), segmentsOf(false)];
  const shared = { heads, kvHeads, headDim, rmsEpsilon, rotary: model.rotary, batch };
  const counts = new Map<number, Record<WorkKind, number>>();
  let kept:
    | {
        readonly tokens: number;
        readonly x: tf.Tensor2D;
        readonly dy: tf.Tensor2D;
        readonly saved: readonly Saved[];
      }
    | undefined;

  const forget = () => {
    for (const saved of kept?.saved ?? []) saved.dispose();
    if (kept) tf.dispose([kept.x, kept.dy]);
    kept = undefined;
  };
  const forward = (tokens: number, kernels = model.kernels) => {
    const [x, dy] =
      kept?.tokens === tokens
        ? [kept.x, kept.dy]
        : [filled(batch * tokens, hiddenSize, 0.5), filled(batch * tokens, hiddenSize, 1e-3)];
    if (kept?.tokens === tokens) for (const saved of kept.saved) saved.dispose();
    else forget();
    // Every layer reads the same input: the time does not depend on the values.
    const saved = layers.map((layer) => {
      const run = decoderLayer(x, layer, {
        segments: training,
        context: { ...shared, time: tokens, kernels },
        keep: true,
      });
      run.y.dispose();
      return run.saved!;
    });
    kept = { tokens, x, dy, saved };
  };
  const backward = (tokens: number, segments: LayerSegments, kernels = model.kernels) => {
    if (kept?.tokens !== tokens) forward(tokens);
    for (let index = layers.length - 1; index >= 0; index--) {
      const { dx, gradients } = decoderLayerBackward(kept!.dy, kept!.saved[index]!, layers[index]!, {
        segments,
        context: { ...shared, time: tokens, kernels },
        input: true,
      });
      if (dx) tf.dispose(dx);
      for (const gradient of Object.values(gradients).flat())
        if (gradient) tf.dispose([gradient.a, gradient.b]);
    }
  };
  return {
    forward: (tokens) => {
      forward(tokens);
    },
    backwardInput: (tokens) => {
      backward(tokens, frozen);
    },
    backwardBoth: (tokens) => {
      backward(tokens, training);
    },
    flops(kind, tokens) {
      const known = counts.get(tokens);
      if (known) return known[kind];
      const flops: Record<WorkKind, number> = { forward: 0, input: 0, weight: 0 };
      const counting = countFlops(model.kernels, (product) => {
        flops[product.kind] += product.flops;
      });
      forward(tokens, counting);
      backward(tokens, training, counting);
      counts.set(tokens, flops);
      return flops[kind];
    },
    dispose() {
      forget();
      for (const segments of [training, frozen])
        for (const { a, b } of Object.values(segments).flat()) tf.dispose([a, b]);
    },
  };
}

type Saved = NonNullable<ReturnType<typeof decoderLayer>['saved']>;

/** Varied values of both signs, so that no operation is faster than usual. */
function filled(rows: number, columns: number, size: number): tf.Tensor2D {
  const values = Float32Array.from(
    { length: rows * columns },
    (_, i) => size * (((i * 2_654_435_761) % 1024) / 512 - 1),
  );
  return tf.tensor2d(values, [rows, columns]);
}
