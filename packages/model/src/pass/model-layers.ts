/** The decoder layers of a model with the segments that are active in a pass. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import {
  type DecoderLayerWeights,
  type LayerContext,
  type LayerLinear,
  layerLinears,
  type LayerSegments,
} from './decoder-layer.js';
import { requirePositions } from './require-positions.js';
import type { SegmentsByLinear } from './segments.js';
import type { TokenBatch } from './token-batch.js';

export interface ModelLayer {
  readonly weights: DecoderLayerWeights;
  readonly segments: LayerSegments;
  /** Whether any of the segments trains. */
  readonly trains: boolean;
  /** The full name of one of the layer's linears. */
  nameOf(linear: LayerLinear): string;
}

export function modelLayers({ spec, layers }: LoadedModel, segments: SegmentsByLinear): ModelLayer[] {
  return layers.map((weights, layerIndex) => {
    const nameOf = (linear: LayerLinear) => `${spec.text.prefix}layers.${layerIndex}.${linear}`;
    const active = layerLinears.map((linear) => [linear, segments.get(nameOf(linear)) ?? []] as const);
    return {
      weights,
      segments: Object.fromEntries(active),
      trains: active.some(([, linearSegments]) => linearSegments.some(({ train }) => train)),
      nameOf,
    };
  });
}

/** What all layers of a pass share. @throws ModelError when the batch is longer than the model's positions. */
export function contextOf(model: LoadedModel, { batch, time, firstKeys }: TokenBatch): LayerContext {
  const { kernels, spec, rotary } = model;
  const { heads, kvHeads, headDim, rmsEpsilon } = spec.text;
  requirePositions(model, time, 'languagePass');
  return {
    kernels,
    batch,
    time,
    heads,
    kvHeads,
    headDim,
    rmsEpsilon,
    rotary,
    ...(firstKeys ? { firstKeys } : {}),
  };
}
