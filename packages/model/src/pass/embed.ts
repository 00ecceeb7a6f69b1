/** The input of the first decoder layer: token embeddings, and the features of images and sounds where their tokens stand. */
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
 * Embeds a batch, with the connector's output in place of image tokens, and what was heard in place of audio tokens.
 *
 * @throws ModelError when a row's image or audio tokens and its features differ in number.
 */
export function embed(
  model: EmbeddingWeights,
  { ids, images, sounds = [], time }: TokenBatch,
  segments: SegmentsByLinear,
): Embedded {
  const { embedding, spec, kernels } = model;
  const { hiddenSize, vocabularySize } = spec.text;
  const words =
    embedding instanceof Float32Array
      ? kernels.embedding(embedding, ids, hiddenSize)
      : tensor2d(matrixRows(embedding, ids, [vocabularySize, hiddenSize]), [ids.length, hiddenSize]);
  const place = (features: TokenBatch['images'], token: number | undefined) =>
    Int32Array.from([...ids.keys()].filter((row) => ids[row] === token && features[Math.floor(row / time)]));
  const [imageRows, soundRows] = [
    place(images, spec.vision?.imageTokenId),
    place(sounds, spec.audio?.audioTokenId),
  ];
  const parts: { readonly rows: Int32Array; readonly y: Tensor2D }[] = [];
  let connector: Embedded['connector'];
  if (model.connector) {
    const wide = model.connector.inFeatures;
    requireFeatures(images, imageRows, { time, wide, what: 'image' });
    if (images.some((image) => image !== undefined)) {
      const input = joined(images, imageRows.length, wide);
      const { y, saved } = kernels.linear(input, model.connector, segments.get(connectorName(model)) ?? []);
      parts.push({ rows: imageRows, y });
      connector = {
        rows: imageRows,
        saved,
        dispose() {
          saved.dispose();
          dispose(input);
        },
      };
    }
  }
  if (spec.audio) {
    requireFeatures(sounds, soundRows, { time, wide: hiddenSize, what: 'audio' });
    if (soundRows.length > 0)
      parts.push({ rows: soundRows, y: joined(sounds, soundRows.length, hiddenSize) });
  }
  if (parts.length === 0) return { x: words };
  const source = Int32Array.from(ids.keys());
  let next = ids.length;
  for (const { rows } of parts) for (const row of rows) source[row] = next++;
  const all = concat2d([words, ...parts.map(({ y }) => y)], 0);
  const x = kernels.gatherRows(all, source);
  dispose([words, all, ...parts.map(({ y }) => y)]);
  return { x, ...(connector ? { connector } : {}) };
}

/** The features of all rows as one matrix. */
function joined(features: TokenBatch['images'], rows: number, wide: number): Tensor2D {
  const all = new Float32Array(rows * wide);
  let at = 0;
  for (const one of features) {
    if (!one) continue;
    all.set(one, at);
    at += one.length;
  }
  return tensor2d(all, [rows, wide]);
}

/** Features replace a row's image or audio tokens one by one; a text that contains the token's spelling has too many. */
function requireFeatures(
  features: TokenBatch['images'],
  rows: Int32Array,
  { time, wide, what }: { time: number; wide: number; what: 'image' | 'audio' },
): void {
  for (const [i, one] of features.entries()) {
    if (!one) continue;
    const count = rows.filter((row) => Math.floor(row / time) === i).length;
    if (count * wide !== one.length)
      throw new ModelError(
        'MODEL_MISMATCH',
        'languagePass',
        `row ${i} has ${count} ${what} tokens, but its ${what === 'image' ? 'images have' : 'sound has'} features for ${one.length / wide}; does its text contain ${what === 'image' ? 'an image' : 'an audio'} token?`,
      );
  }
}
