/** How fast this machine runs a decoder layer's three kinds of work, measured with the model's own layer at the sizes of a step. */
import { countFlops, type WorkKind } from '@contextlora/kernels';
import { decoderLayer, decoderLayerBackward, type LayerSegments, type LoadedModel } from '@contextlora/model';
import type { ComputeRates } from '@contextlora/scheduler';
import * as tf from '@tensorflow/tfjs-core';

export interface MeasureRatesOptions {
  /** Monotonic seconds. */
  readonly clock: () => number;
  /** Samples and tokens of a batch. */
  readonly batch: number;
  readonly time: number;
  /** Ranks of the segment that trains in every linear layer. */
  readonly rank: number;
  /** Passes of each kind; the median counts. */
  readonly repetitions?: number;
}

export interface MeasuredRates {
  readonly rates: ComputeRates;
  /** Of the passes' times, (third − first quartile) / median, forward and backward together. */
  readonly spread: number;
}

/** FLOP/s over the products that `countFlops` counts; what is no product is in the time, so the rates hold for layers like this one. */
export function measureRates(
  model: LoadedModel,
  { clock, batch, time, rank, repetitions = 9 }: MeasureRatesOptions,
): MeasuredRates {
  const { hiddenSize, heads, kvHeads, headDim, rmsEpsilon } = model.spec.text;
  const [weights] = model.layers;
  if (!weights) throw new Error('contextlora/measureRates: the model has no decoder layer');
  const flops: Record<WorkKind, number> = { forward: 0, input: 0, weight: 0 };
  const counting = countFlops(model.kernels, ({ kind, flops: count }) => {
    flops[kind] += count;
  });
  const context = { batch, time, heads, kvHeads, headDim, rmsEpsilon, rotary: model.rotary };
  const x = filled(batch * time, hiddenSize, 0.5);
  const dy = filled(batch * time, hiddenSize, 1e-3);
  const segmentsOf = (train: boolean): LayerSegments =>
    Object.fromEntries(
      Object.entries(weights.linears).map(([name, { inFeatures, outFeatures }]) => [
        name,
        [{ a: filled(rank, inFeatures, 0.05), b: filled(outFeatures, rank, 0.05), scale: 1, train }],
      ]),
    );
  const [training, frozen] = [segmentsOf(true), segmentsOf(false)];
  const passes = Array.from({ length: repetitions + 1 }, (_, pass) => {
    const kernels = pass === 0 ? counting : model.kernels;
    const start = clock();
    const { y, saved } = decoderLayer(x, weights, {
      segments: training,
      context: { ...context, kernels },
      keep: true,
    });
    const forward = clock() - start;
    const backward = (segments: LayerSegments, using: typeof kernels): number => {
      const from = clock();
      const { dx, gradients } = decoderLayerBackward(dy, saved!, weights, {
        segments,
        context: { ...context, kernels: using },
        input: true,
      });
      const seconds = clock() - from;
      if (dx) tf.dispose(dx);
      for (const of of Object.values(gradients)) for (const one of of) if (one) tf.dispose([one.a, one.b]);
      return seconds;
    };
    const input = backward(frozen, model.kernels);
    const both = backward(training, kernels);
    saved!.dispose();
    y.dispose();
    return { forward, input, weight: Math.max(0, both - input), all: forward + both };
  }).slice(1);
  tf.dispose([
    x,
    dy,
    ...[training, frozen].flatMap((one) =>
      Object.values(one)
        .flat()
        .flatMap(({ a, b }) => [a, b]),
    ),
  ]);
  const rateOf = (kind: WorkKind): number =>
    flops[kind] /
    Math.max(
      1e-9,
      quantile(
        passes.map((pass) => pass[kind]),
        0.5,
      ),
    );
  const all = passes.map((pass) => pass.all);
  return {
    rates: { forward: rateOf('forward'), input: rateOf('input'), weight: rateOf('weight') },
    spread: (quantile(all, 0.75) - quantile(all, 0.25)) / quantile(all, 0.5),
  };
}

/** Values of both signs that no operation finds easy. */
function filled(rows: number, columns: number, size: number): tf.Tensor2D {
  const values = Float32Array.from(
    { length: rows * columns },
    (_, i) => size * (((i * 2_654_435_761) % 1024) / 512 - 1),
  );
  return tf.tensor2d(values, [rows, columns]);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
