/** The input of the first decoder layer: token embeddings, and image features where image tokens stand. */
import type { Saved } from '@contextlora/kernels';
import { concat2d, dispose, type Tensor2D, tensor2d } from '@contextlora/kernels/tfjs';

import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import { matrixRows } from './matrix-rows.js';
import type { SegmentsByLinear } from './segments.js';
import type { TokenBatch } from './token-batch.js';

export interface Embedded {
  /** `[batch · time, hidden]` */
  readonly x: Tensor2D;
  readonly connector?: {
    /** The rows of x that image tokens fill. */
    readonly rows: Int32Array;
    readonly saved: Saved;
    dispose(): void;
  };
}

/** What embeds. */
export type EmbeddingWeights = Pick<LoadedModel, 'spec' | 'kernels' | 'embedding' | 'connector'>;

/** The connector's name; a model without one has no linear of this name. */
export const connectorName = ({ spec }: Pick<LoadedModel, 'spec'>) => spec.vision?.connector.name ?? '';

/**
 * Embeds a batch, with the connector's output in place of image tokens.
 *
 * @throws ModelError when a row's image tokens and image features differ in number.
 */
export function embed(
  model: EmbeddingWeights,
  { ids, images, time }: TokenBatch,
  segments: SegmentsByLinear,
): Embedded {
  const { embedding, spec, kernels } = model;
  const { hiddenSize, vocabularySize } = spec.text;
  const imageToken = spec.vision?.imageTokenId;
  const rows = Int32Array.from(
    [...ids.keys()].filter((row) => ids[row] === imageToken && images[Math.floor(row / time)]),
  );
  const features = images.filter((image) => image !== undefined);
  const wide = model.connector?.inFeatures ?? 0;
  if (model.connector) requireFeatures(images, rows, { time, wide });
  const words =
    embedding instanceof Float32Array
      ? kernels.embedding(embedding, ids, hiddenSize)
      : tensor2d(matrixRows(embedding, ids, [vocabularySize, hiddenSize]), [ids.length, hiddenSize]);
  if (features.length === 0 || !model.connector) return { x: words };
  const all = new Float32Array(rows.length * wide);
  let at = 0;
  for (const image of features) {
    all.set(image, at);
    at += image.length;
  }
  const input = tensor2d(all, [rows.length, wide]);
  const { y, saved } = kernels.linear(input, model.connector, segments.get(connectorName(model)) ?? []);
  const both = concat2d([words, y], 0);
  const source = Int32Array.from(ids.keys());
  for (const [i, row] of rows.entries()) source[row] = ids.length + i;
  const x = kernels.gatherRows(both, source);
  dispose([y, words, both]);
  return {
    x,
    connector: {
      rows,
      saved,
      dispose() {
        saved.dispose();
        dispose(input);
      },
    },
  };
}

/** Image features replace a row's image tokens one by one; a text that contains the token's spelling has too many. */
function requireFeatures(
  images: TokenBatch['images'],
  rows: Int32Array,
  { time, wide }: { time: number; wide: number },
): void {
  for (const [i, image] of images.entries()) {
    if (!image) continue;
    const count = rows.filter((row) => Math.floor(row / time) === i).length;
    if (count * wide !== image.length)
      throw new ModelError(
        'MODEL_MISMATCH',
        'languagePass',
        `row ${i} has ${count} image tokens, but its images have features for ${image.length / wide}; does its text contain an image token?`,
      );
  }
}
