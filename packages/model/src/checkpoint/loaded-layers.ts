/** A range of a model's layers in memory. */
import type { Kernels, LinearWeight, RotaryTable } from '@contextlora/kernels';

import { ModelError } from '../model-error.js';
import type { AudioWeights } from '../pass/audio-tower.js';
import type { DecoderLayerWeights } from '../pass/decoder-layer.js';
import type { RowMatrix } from '../pass/matrix-rows.js';
import type { VisionWeights } from '../pass/vision-tower.js';
import { allLayers, decoderLayersOf, includes, type LayerRange } from '../spec/layer-range.js';
import type { ModelSpec } from '../spec/model-spec.js';

/** What computes a range of layers; embedding and head only where the range includes them. */
export interface LoadedLayers {
  readonly spec: ModelSpec;
  readonly kernels: Kernels;
  readonly range: LayerRange;
  /** The decoder layers of the range, in order. */
  readonly layers: readonly DecoderLayerWeights[];
  readonly rotary: RotaryTable;
  /** `[vocabulary, hidden]`, outside any heap; `matrixRows` looks rows up. */
  readonly embedding?: RowMatrix;
  readonly vision?: VisionWeights;
  readonly connector?: LinearWeight;
  readonly audio?: AudioWeights;
  readonly finalNorm?: Float32Array;
  /** The output matrix `[vocabulary, hidden]`; the embedding itself when tied. */
  readonly head?: RowMatrix;
  readonly headWeight?: LinearWeight;
  dispose(): void;
}

/**
 * A part of layers that are in memory, which still own their weights.
 *
 * @throws ModelError (`MODEL_INPUT_INVALID`) when they are not all there.
 */
export function layersOf(loaded: LoadedLayers, range: LayerRange): LoadedLayers {
  const { spec, kernels, rotary, layers, embedding, vision, connector, audio } = loaded;
  const { finalNorm, head, headWeight } = loaded;
  requireLayers(range, loaded.range, 'layersOf');
  const inner = decoderLayersOf(range, spec);
  const first = decoderLayersOf(loaded.range, spec).start;
  return {
    spec,
    kernels,
    rotary,
    range,
    layers: layers.slice(inner.start - first, inner.end - first),
    ...(range.start === 0 && embedding
      ? { embedding, ...(vision && connector ? { vision, connector } : {}), ...(audio ? { audio } : {}) }
      : {}),
    ...(includes(range, allLayers(spec).end - 1) && finalNorm && head && headWeight
      ? { finalNorm, head, headWeight }
      : {}),
    dispose: () => undefined,
  };
}

/** @throws ModelError (`MODEL_INPUT_INVALID`) when a range is empty or not within another. */
export function requireLayers({ start, end }: LayerRange, within: LayerRange, where: string): void {
  if (
    Number.isInteger(start) &&
    Number.isInteger(end) &&
    within.start <= start &&
    start < end &&
    end <= within.end
  )
    return;
  throw new ModelError(
    'MODEL_INPUT_INVALID',
    where,
    `there are no layers ${start} to ${end}; there are ${within.start} to ${within.end} (0 the embedding, then the decoder layers, then the head)`,
  );
}
