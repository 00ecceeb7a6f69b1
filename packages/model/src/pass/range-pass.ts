/**
 * A batch through a range of a model's layers, forward and backward: from the embedding to the head on one device, or what one stage of a
 * pipeline computes. The head's loss is apart (`headLosses`).
 */
import type { Saved, SegmentGradient } from '@contextlora/kernels';
import { dispose, type Tensor2D } from '@contextlora/kernels/tfjs';

import type { LoadedLayers } from '../checkpoint/loaded-layers.js';
import {
  decoderLayer,
  decoderLayerBackward,
  decoderLayerWeightGradients,
  type LayerContext,
  type LayerGradients,
  layerLinears,
  type LayerOutputGradients,
  type LayerSaved,
} from './decoder-layer.js';
import { connectorName, embed, type Embedded } from './embed.js';
import { contextOf, type ModelLayer, modelLayers } from './model-layers.js';
import type { SegmentsByLinear } from './segments.js';
import type { BatchShape, TokenBatch } from './token-batch.js';

/** By the full name of a linear, the gradient of each of its active segments; null for those that do not train. */
export type GradientsByLinear = Map<string, readonly (SegmentGradient | null)[]>;

/** What goes in: tokens for the embedding, or the input of layer `at`, `[batch · time, hidden]`, which is taken over. */
export type RangeInput = { readonly tokens: TokenBatch } | { readonly at: number; readonly hidden: Tensor2D };

/** What a forward pass put out and left for the backward pass. */
export interface RangePass {
  /** The output of the range's top decoder layer, `[batch · time, hidden]`, which the backward pass does not need. */
  readonly y: Tensor2D;
  readonly layers: readonly (ModelLayer & { readonly saved: LayerSaved })[];
  readonly connector?: { readonly rows: Int32Array; readonly saved: Saved };
  readonly context: LayerContext;
  /** Frees what was left, but not the output. */
  dispose(): void;
}

/** Runs the layers of the range from the input up, and keeps what backward needs from layer `keepFrom` up. */
export function rangeForward(
  model: LoadedLayers,
  input: RangeInput,
  { shape, segments, keepFrom }: { shape: BatchShape; segments: SegmentsByLinear; keepFrom: number },
): RangePass {
  const context = contextOf(model, shape);
  const { x: first, connector } = inputOf(model, input, segments);
  const at = 'tokens' in input ? 0 : input.at;
  const kept: Tensor2D[] = [];
  const layers: (ModelLayer & { readonly saved: LayerSaved })[] = [];
  let x = first;
  for (const layer of modelLayers(model, segments)) {
    if (layer.index < at) continue;
    const keep = layer.index >= keepFrom;
    const { y, saved } = decoderLayer(x, layer.weights, { segments: layer.segments, context, keep });
    if (saved) {
      // A layer's saved values refer to its input.
      kept.push(x);
      layers.push({ ...layer, saved });
    } else dispose(x);
    x = y;
  }
  if (connector && keepFrom > 0) connector.dispose();
  return {
    y: x,
    layers,
    ...(connector && keepFrom === 0 ? { connector } : {}),
    context,
    dispose() {
      for (const { saved } of layers) saved.dispose();
      if (keepFrom === 0) connector?.dispose();
      dispose(kept);
    },
  };
}

function inputOf(model: LoadedLayers, input: RangeInput, segments: SegmentsByLinear): Embedded {
  if ('hidden' in input) return { x: input.hidden };
  const { spec, kernels, embedding, connector } = model;
  if (!embedding) throw new Error('internal: tokens for layers without an embedding');
  return embed({ spec, kernels, embedding, ...(connector ? { connector } : {}) }, input.tokens, segments);
}

/** The gradients of the outputs of what trains, which a backward pass left to {@link rangeWeightGradients}. */
export interface OutputGradients {
  /** Of the layers of the pass, in its order. */
  readonly layers: readonly LayerOutputGradients[];
  readonly connector?: Tensor2D;
}

/**
 * From the gradient of the range's output, which is taken over, that of its input: null where nothing below the range trains. With `later`
 * the gradients of A and B are left to be computed from `outputs`.
 */
export function rangeBackward(
  model: LoadedLayers,
  pass: RangePass,
  dy: Tensor2D,
  { segments, lowest, later }: { segments: SegmentsByLinear; lowest: number; later: boolean },
): { dx: Tensor2D | null; gradients: GradientsByLinear; outputs: OutputGradients } {
  const gradients: GradientsByLinear = new Map();
  const outputs: LayerOutputGradients[] = [];
  let d: Tensor2D | null = dy;
  for (const layer of [...pass.layers].reverse()) {
    if (!d) break;
    const result = decoderLayerBackward(d, layer.saved, layer.weights, {
      segments: layer.segments,
      context: pass.context,
      input: layer.index > lowest,
      later,
    });
    collect(gradients, layer, result.gradients);
    outputs.unshift(result.outputs);
    dispose(d);
    d = result.dx;
  }
  if (!d || !pass.connector) return { dx: d, gradients, outputs: { layers: outputs } };
  const ofConnector = model.kernels.gatherRows(d, pass.connector.rows);
  dispose(d);
  if (later) return { dx: null, gradients, outputs: { layers: outputs, connector: ofConnector } };
  connectorGradients(gradients, model, { pass, d: ofConnector, segments });
  return { dx: null, gradients, outputs: { layers: outputs } };
}

/** The gradients of A and B that `rangeBackward` left, whose `outputs` are taken over. */
export function rangeWeightGradients(
  model: LoadedLayers,
  pass: RangePass,
  outputs: OutputGradients,
  { segments }: { segments: SegmentsByLinear },
): GradientsByLinear {
  const gradients: GradientsByLinear = new Map();
  for (const [i, layer] of pass.layers.entries()) {
    const ofLayer = outputs.layers[i] ?? {};
    collect(gradients, layer, decoderLayerWeightGradients(ofLayer, layer.saved, layer, pass.context));
    dispose(Object.values(ofLayer));
  }
  if (outputs.connector) connectorGradients(gradients, model, { pass, d: outputs.connector, segments });
  return gradients;
}

function collect(gradients: GradientsByLinear, { nameOf }: ModelLayer, ofLayer: LayerGradients): void {
  for (const name of layerLinears) {
    const ofLinear = ofLayer[name];
    if (ofLinear) gradients.set(nameOf(name), ofLinear);
  }
}

/** Adds the gradients of the connector from that of its output, which is taken over. */
function connectorGradients(
  gradients: GradientsByLinear,
  model: LoadedLayers,
  { pass, d, segments }: { pass: RangePass; d: Tensor2D; segments: SegmentsByLinear },
): void {
  const name = connectorName(model);
  if (pass.connector && model.connector) {
    const active = segments.get(name) ?? [];
    const { saved } = pass.connector;
    gradients.set(
      name,
      model.kernels.linearBackward(d, saved, model.connector, active, { input: false }).segments,
    );
  }
  dispose(d);
}
