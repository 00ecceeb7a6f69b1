/**
 * A pass over new tokens only: keys and values of earlier tokens come from the cache and are not computed again.
 */
import type { KeyValueCache } from '@contextlora/kernels';
import { dispose } from '@contextlora/kernels/tfjs';

import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import { decoderLayer } from './decoder-layer.js';
import { embed } from './embed.js';
import { openHead } from './head.js';
import { contextOf, modelLayers } from './model-layers.js';
import { requirePositions } from './require-positions.js';
import type { SegmentsByLinear } from './segments.js';
import { batchOf } from './token-batch.js';

/** The new tokens of one row of the batch, and its active segments. */
export interface CachedRow {
  readonly ids: readonly number[];
  /** The features of the image whose tokens are among the ids. */
  readonly image?: Float32Array | undefined;
  /** The same of a sound. */
  readonly audio?: Float32Array | undefined;
  /** May differ between rows; adjacent rows with the same map are computed together. */
  readonly segments?: SegmentsByLinear | undefined;
}

/**
 * Opens an empty cache for `batch` rows. Each position costs `2 · layers · kvHeads · headDim` floats per row; the cache starts with room
 * for `capacity` positions and doubles up to the model's positions.
 */
export function openCache(
  { kernels, spec, rotary }: LoadedModel,
  { batch = 1, capacity }: { readonly batch?: number; readonly capacity?: number } = {},
): KeyValueCache {
  const { layerCount, kvHeads, headDim } = spec.text;
  return kernels.openCache({
    layers: layerCount,
    batch,
    kvHeads,
    headDim,
    rotary,
    ...(capacity === undefined ? {} : { capacity }),
  });
}

/**
 * Runs new tokens after those in the cache and adds them to it; a row may have none.
 *
 * @returns for each row the logits `[vocabulary]` after its last new token, or with `every` after each of them.
 */
export async function cachedLogits(
  model: LoadedModel,
  rows: readonly CachedRow[],
  cache: KeyValueCache,
  { every = false }: { readonly every?: boolean } = {},
): Promise<Float32Array[][]> {
  const { kernels, spec } = model;
  if (rows.length !== cache.batch)
    throw new ModelError(
      'MODEL_INPUT_INVALID',
      'cachedLogits',
      `the cache has ${cache.batch} rows, got ${rows.length}`,
    );
  const counts = rows.map(({ ids }) => ids.length);
  if (Math.max(...counts) === 0) return rows.map(() => []);
  requirePositions(
    model,
    Math.max(...counts.map((count, row) => count + cache.lengths[row]!)),
    'cachedLogits',
  );
  const tokens = batchOf(
    model,
    rows.map(({ ids }) => ids),
    rows.map(({ image }) => image),
    { sounds: rows.map(({ audio }) => audio) },
  );
  const segments = segmentsOfRows(rows, tokens.time);
  const context = contextOf(model, tokens);
  const embedded = embed(model, tokens, segments);
  embedded.connector?.dispose();
  let { x } = embedded;
  for (const [layer, { weights, segments: active }] of modelLayers(model, segments).entries()) {
    const { y } = decoderLayer(x, weights, {
      segments: active,
      context: {
        ...context,
        attend: (q, k, v) =>
          kernels.cachedAttention(q, k, v, cache, { layer, heads: spec.text.heads, counts }),
      },
      keep: false,
    });
    dispose(x);
    x = y;
  }
  cache.advance(counts);
  const wanted = counts.flatMap((count, row) =>
    Array.from({ length: count }, (_, t) => ({ row, at: row * tokens.time + t, isLast: t + 1 === count })),
  );
  const read = wanted.filter(({ isLast }) => every || isLast);
  const head = openHead(model, x, { rows: Int32Array.from(read, ({ at }) => at) });
  const { y, saved } = kernels.linear(head.normed, head.weight);
  const logits = (await y.data()) as Float32Array;
  saved.dispose();
  head.dispose();
  dispose([x, y]);
  const columns = y.shape[1];
  const byRow: Float32Array[][] = rows.map(() => []);
  for (const [i, { row }] of read.entries())
    byRow[row]?.push(logits.subarray(i * columns, (i + 1) * columns));
  return byRow;
}

/** The segments of each linear, each restricted to the rows whose map has it. */
function segmentsOfRows(rows: readonly CachedRow[], time: number): SegmentsByLinear {
  const groups: { start: number; end: number; segments: SegmentsByLinear }[] = [];
  for (const [row, { segments }] of rows.entries()) {
    const last = groups.at(-1);
    if (last && segments === last.segments && last.end === row) last.end = row + 1;
    else if (segments) groups.push({ start: row, end: row + 1, segments });
  }
  const [first] = groups;
  if (!first) return new Map();
  if (groups.length === 1 && first.start === 0 && first.end === rows.length) return first.segments;
  const linears = new Set(groups.flatMap(({ segments }) => [...segments.keys()]));
  return new Map(
    [...linears].map((linear) => [
      linear,
      groups.flatMap(({ start, end, segments }) =>
        (segments.get(linear) ?? []).map((segment) => ({
          ...segment,
          rows: { start: start * time, end: end * time },
        })),
      ),
    ]),
  );
}
