/** The decoder layers of a model with the segments that are active in a pass. */
import type { LoadedLayers } from '../checkpoint/loaded-layers.js';
import { decoderLayersOf } from '../spec/layer-range.js';
import {
  type DecoderLayerWeights,
  type LayerContext,
  type LayerLinear,
  layerLinears,
  type LayerSegments,
} from './decoder-layer.js';
import { requirePositions } from './require-positions.js';
import type { SegmentsByLinear } from './segments.js';
import type { BatchShape } from './token-batch.js';

export interface ModelLayer {
  /** In the model, where the first decoder layer is 1. */
  readonly index: number;
  readonly weights: DecoderLayerWeights;
  readonly segments: LayerSegments;
  /** Whether any of the segments trains. */
  readonly trains: boolean;
  /** The full name of one of the layer's linears. */
  readonly nameOf: (linear: LayerLinear) => string;
}

export function modelLayers(
  { spec, layers, range }: Pick<LoadedLayers, 'spec' | 'layers' | 'range'>,
  segments: SegmentsByLinear,
): ModelLayer[] {
  const { start } = decoderLayersOf(range, spec);
  return layers.map((weights, i) => {
    const layerIndex = start + i;
    const nameOf = (linear: LayerLinear) => `${spec.text.prefix}layers.${layerIndex}.${linear}`;
    const active = layerLinears.map((linear) => [linear, segments.get(nameOf(linear)) ?? []] as const);
    return {
      index: layerIndex + 1,
      weights,
      segments: Object.fromEntries(active),
      trains: active.some(([, linearSegments]) => linearSegments.some(({ train }) => train)),
      nameOf,
    };
  });
}

/** What all layers of a pass share. @throws ModelError when the batch is longer than the model's positions. */
export function contextOf(
  model: Pick<LoadedLayers, 'spec' | 'kernels' | 'rotary'>,
  { batch, time, firstKeys }: BatchShape,
): LayerContext {
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
