/** A contiguous part of a model's layers, counted as a plan counts them. */
import { linearsOf, type ModelSpec } from './model-spec.js';

/**
 * Half-open range of layers: 0 is the embedding, with the vision tower and the connector if the model has them; 1 to n are its n decoder
 * layers; n + 1 is the head, with the final norm.
 */
export interface LayerRange {
  readonly start: number;
  readonly end: number;
}

/** The range of all layers. */
export const allLayers = ({ text }: ModelSpec): LayerRange => ({ start: 0, end: text.layerCount + 2 });

export const includes = ({ start, end }: LayerRange, layer: number): boolean => layer >= start && layer < end;

/** The decoder layers within a range, as a half-open range of their own indices. */
export const decoderLayersOf = ({ start, end }: LayerRange, { text }: ModelSpec): LayerRange => ({
  start: Math.min(Math.max(start - 1, 0), text.layerCount),
  end: Math.min(Math.max(end - 1, 0), text.layerCount),
});

/** The layer of each linear that can be adapted, by its name. */
export const layerOfLinear = (spec: ModelSpec): ReadonlyMap<string, number> =>
  new Map(linearsOf(spec).map(({ name, layerIndex = -1 }) => [name, layerIndex + 1]));
