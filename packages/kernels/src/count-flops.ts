/**
 * Watches kernels at work and counts the floating-point operations of every product they are asked for, from the shapes that arrive.
 *
 * Only products count, a multiplication and an addition as two: linear layers, their segments, attention, patches and the head. Attention
 * counts all pairs of positions, as the kernels here compute them, the masked ones too; its backward the four products that give the
 * gradients, not the forward's being computed again. What is no product (norms, activations, softmax) takes time but is not counted, as is
 * usual.
 */
import type { AttentionShape, Kernels, LinearWeight, LoraSegment } from './kernels.js';

/** What the work is for: an output, the gradient of an input, or the gradient of what trains. */
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
  /** The frozen weight it went through; attention has none. */
  readonly weight?: LinearWeight;
}

/** The same kernels, which report the products of every call before they run it. */
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
    linearBackward(dy, saved, weight, segments, owed) {
      const { through, gradients } = linearFlops(dy.shape[0], weight, segments);
      if (owed.input) say('linearBackward', 'input', through, weight);
      say(
        'linearBackward',
        'weight',
        gradients + (owed.input ? 0 : downFlops(dy.shape[0], weight, segments)),
        weight,
      );
      return kernels.linearBackward(dy, saved, weight, segments, owed);
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
    linearCrossEntropy(x, weight, targets, weights, owed) {
      const { through } = linearFlops(x.shape[0], weight, []);
      say('linearCrossEntropy', 'forward', through, weight);
      if (owed.input) say('linearCrossEntropy', 'input', through, weight);
      return kernels.linearCrossEntropy(x, weight, targets, weights, owed);
    },
  };
}

/**
 * through    2 · (rows · in · out + Σ rank · rows of the segment · (in + out)), of the output and of the input's gradient alike
 * gradients  2 · Σ rank · rows · (in + out) over the segments that train
 */
function linearFlops(
  rows: number,
  { inFeatures, outFeatures }: LinearWeight,
  segments: readonly LoraSegment[],
): { through: number; gradients: number } {
  const ranksTimesRows = (some: readonly LoraSegment[]) =>
    some.reduce((sum, { a, rows: own }) => sum + a.shape[0] * (own ? own.end - own.start : rows), 0);
  const wide = inFeatures + outFeatures;
  return {
    through: 2 * (rows * inFeatures * outFeatures + ranksTimesRows(segments) * wide),
    gradients: 2 * ranksTimesRows(segments.filter(({ train }) => train)) * wide,
  };
}

/** dy B of what trains: part of the input's gradient where that is owed, else computed for the gradient of A alone. */
const downFlops = (rows: number, { outFeatures }: LinearWeight, segments: readonly LoraSegment[]): number =>
  segments.reduce((sum, { a, train }) => sum + (train ? 2 * rows * outFeatures * a.shape[0] : 0), 0);

/** One product over all pairs of positions, of all heads. */
const pairFlops = ({ batch, time, heads, headDim }: AttentionShape): number =>
  2 * batch * heads * time * time * headDim;
