/**
 * A pass over new tokens alone: what earlier ones left in the cache of keys and values is looked at, not computed again.
 */
import type { KeyValueCache } from '@contextlora/kernels';
import { dispose } from '@tensorflow/tfjs-core';

import { decoderLayer } from './decoder-layer.js';
import {
  contextOf,
  embed,
  layerWeights,
  openHead,
  segmentsOfLayer,
  type SegmentsByLayer,
} from './language-pass.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import { batchOf } from '../text/token-rows.js';

/** The new tokens of one row of the batch, and whose segments it runs with. */
export interface CachedRow {
  readonly ids: readonly number[];
  /** Features of the image whose tokens are among the ids. */
  readonly image?: Float32Array | undefined;
  /** Rows may differ; rows that share one map and lie side by side are computed together. */
  readonly segments?: SegmentsByLayer | undefined;
}

/**
 * An empty cache for `batch` rows. Each position costs `2 · layers · kvHeads · headDim` floats a row; it starts with room for `capacity`
 * positions and doubles up to the model's.
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
 * Runs new tokens behind what the cache holds and adds them to it; a row may have none.
 *
 * @returns per row the logits `[vocabulary]` behind its last new token, or with `every` behind each of them.
 */
export async function cachedLogits(
  model: LoadedModel,
  rows: readonly CachedRow[],
  cache: KeyValueCache,
  { every = false }: { readonly every?: boolean } = {},
): Promise<Float32Array[][]> {
  const { kernels, spec } = model;
  if (rows.length !== cache.batch)
    throw new Error(`model/cachedLogits: the cache has ${cache.batch} rows, got ${rows.length}`);
  const counts = rows.map(({ ids }) => ids.length);
  if (Math.max(...counts) === 0) return rows.map(() => []);
  const tokens = batchOf(
    model,
    rows.map(({ ids }) => ids),
    rows.map(({ image }) => image),
  );
  const segments = segmentsOfRows(rows, tokens.time);
  const context = contextOf(model, tokens);
  const embedded = embed(model, tokens, segments);
  let x = embedded.x;
  for (let depth = 0; depth < model.layers.length; depth++) {
    const { y } = decoderLayer(x, layerWeights(model, depth), {
      segments: segmentsOfLayer(model, depth, segments),
      context: {
        ...context,
        attend: (q, k, v) =>
          kernels.cachedAttention(q, k, v, cache, { layer: depth, heads: spec.text.heads, counts }),
      },
      keep: false,
    });
    if (x !== embedded.x) dispose(x);
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
  embedded.dispose();
  dispose(x === embedded.x ? [y] : [x, y]);
  const columns = y.shape[1];
  const byRow: Float32Array[][] = rows.map(() => []);
  for (const [i, { row }] of read.entries())
    byRow[row]?.push(logits.subarray(i * columns, (i + 1) * columns));
  return byRow;
}

/** The segments of each layer, each for the rows whose map has it. */
function segmentsOfRows(rows: readonly CachedRow[], time: number): SegmentsByLayer {
  const groups: { start: number; end: number; segments: SegmentsByLayer }[] = [];
  for (const [row, { segments }] of rows.entries()) {
    const last = groups.at(-1);
    if (last && segments === last.segments && last.end === row) last.end = row + 1;
    else if (segments) groups.push({ start: row, end: row + 1, segments });
  }
  const [first] = groups;
  if (!first) return new Map();
  if (groups.length === 1 && first.start === 0 && first.end === rows.length) return first.segments;
  const layers = new Set(groups.flatMap(({ segments }) => [...segments.keys()]));
  return new Map(
    [...layers].map((layer) => [
      layer,
      groups.flatMap(({ start, end, segments }) =>
        (segments.get(layer) ?? []).map((segment) => ({
          ...segment,
          rows: { start: start * time, end: end * time },
        })),
      ),
    ]),
  );
}
