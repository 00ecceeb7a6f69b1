/**
 * Counts the floating-point operations of every matrix product that kernels compute, from the shapes they are called with.
 *
 * A multiplication and an addition count as two. Counted are linear layers, their segments, attention, patches and the head. Attention
 * counts all pairs of positions, masked ones included, because the kernels compute them; its backward counts the four products of the
 * gradients and no recomputed forward. Norms, activations and softmax take time but are not counted, as is usual.
 */
import type { AttentionShape, Kernels, LinearWeight, LoraSegment } from './kernels.js';

/** What the work yields: an output, the gradient of an input, or the gradient of a trained segment. */
export type WorkKind = 'forward' | 'input' | 'weight';

export interface OperationCount {
  readonly operation:
    | 'linear'
    | 'linearBackward'
    | 'attention'
    | 'attentionBackward'
    | 'cachedAttention'
    | 'patchEmbedding'
    | 'linearCrossEntropy';
  readonly kind: WorkKind;
  readonly flops: number;
  /** The frozen weight involved; attention has none. */
  readonly weight?: LinearWeight;
}

/** The same kernels, reporting the products of every call before they run it. */
export function countFlops(kernels: Kernels, report: (count: OperationCount) => void): Kernels {
  const say = (
    operation: OperationCount['operation'],
    kind: WorkKind,
    flops: number,
    weight?: LinearWeight,
  ) => {
    if (flops > 0) report({ operation, kind, flops, ...(weight ? { weight } : {}) });
  };
  return {
    ...kernels,
    linear(x, weight, segments = []) {
      say('linear', 'forward', linearFlops(x.shape[0], weight, segments).through, weight);
      return kernels.linear(x, weight, segments);
    },
    linearBackward(dy, saved, weight, segments, needed) {
      const { through, gradients } = linearFlops(dy.shape[0], weight, segments);
      if (needed.input) say('linearBackward', 'input', through, weight);
      say(
        'linearBackward',
        'weight',
        gradients + (needed.input ? 0 : downFlops(dy.shape[0], weight, segments)),
        weight,
      );
      return kernels.linearBackward(dy, saved, weight, segments, needed);
    },
    attention(q, k, v, shape, rotary) {
      say('attention', 'forward', 2 * pairFlops(shape));
      return kernels.attention(q, k, v, shape, rotary);
    },
    attentionBackward(dy, saved, shape, rotary) {
      say('attentionBackward', 'input', 4 * pairFlops(shape));
      return kernels.attentionBackward(dy, saved, shape, rotary);
    },
    cachedAttention(q, k, v, cache, step) {
      const { heads, counts } = step;
      const pairs = counts.reduce((sum, count, row) => sum + count * (cache.lengths[row]! + count), 0);
      say('cachedAttention', 'forward', 4 * heads * cache.shape.headDim * pairs);
      return kernels.cachedAttention(q, k, v, cache, step);
    },
    patchEmbedding(images, weight, shape, segments = []) {
      const patches = (shape.imageSizePixels / shape.patchSizePixels) ** 2;
      say(
        'patchEmbedding',
        'forward',
        linearFlops(images.length * patches, weight, segments).through,
        weight,
      );
      return kernels.patchEmbedding(images, weight, shape, segments);
    },
    linearCrossEntropy(x, weight, targets, weights, needed) {
      const { through } = linearFlops(x.shape[0], weight, []);
      say('linearCrossEntropy', 'forward', through, weight);
      if (needed.input) say('linearCrossEntropy', 'input', through, weight);
      return kernels.linearCrossEntropy(x, weight, targets, weights, needed);
    },
  };
}

/**
 * through    2 · (rows · in · out + Σ rank · rows of the segment · (in + out)), for the output and for the input's gradient alike
 * gradients  2 · Σ rank · rows · (in + out) over the segments that train
 */
function linearFlops(
  rows: number,
  { inFeatures, outFeatures }: LinearWeight,
  segments: readonly LoraSegment[],
): { through: number; gradients: number } {
  const ranksTimesRows = (some: readonly LoraSegment[]) =>
    some.reduce((sum, { a, rows: range }) => sum + a.shape[0] * (range ? range.end - range.start : rows), 0);
  const wide = inFeatures + outFeatures;
  return {
    through: 2 * (rows * inFeatures * outFeatures + ranksTimesRows(segments) * wide),
    gradients: 2 * ranksTimesRows(segments.filter(({ train }) => train)) * wide,
  };
}

/** dy B of the segments that train: part of the input's gradient if that is needed, else computed for the gradient of A alone. */
const downFlops = (rows: number, { outFeatures }: LinearWeight, segments: readonly LoraSegment[]): number =>
  segments.reduce((sum, { a, train }) => sum + (train ? 2 * rows * outFeatures * a.shape[0] : 0), 0);

/** One product over all pairs of positions and all heads. */
const pairFlops = ({ batch, time, heads, headDim }: AttentionShape): number =>
  2 * batch * heads * time * time * headDim;
