/** Answers that grow together, each by a token in every pass; rows join while others are under way, and leave as they end. */
import type { KeyValueCache } from '@contextlora/kernels';

import type { LoadedModel } from '../checkpoint/load-model.js';
import { cachedLogits, type CachedRow, openCache } from '../pass/cached-pass.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import type { AnswerRow, RowEvent } from './answer-row.js';

/** What a pass did to a row. */
export interface RowStep {
  readonly row: AnswerRow;
  /** Absent when an end token added no text. */
  readonly event?: RowEvent | undefined;
  /** Why the row cannot go on. */
  readonly error?: unknown;
}

export interface AnswerBatch {
  /** The rows that are under way. */
  readonly rows: readonly AnswerRow[];
  /** Reads the prompts of new rows in one pass, which gives each its first token. If that throws, the other rows are as they were. */
  join(rows: readonly AnswerRow[]): Promise<RowStep[]>;
  /** Gives every row its next token. */
  step(): Promise<RowStep[]>;
  /** Takes out rows that nobody waits for any more. */
  drop(rows: readonly AnswerRow[]): void;
  dispose(): void;
}

/** For the one row of a conversation: its cache, which is the caller's, and how many of the row's ids that holds. */
export interface HeldPrompt {
  readonly cache: KeyValueCache;
  readonly cachedTokens: number;
}

/**
 * Opens an empty batch; the answer of each row equals what it would be alone. It needs the memory of a cache for its rows (see `openCache`).
 *
 * Rows with the same map of segments are placed next to each other, so that a pass multiplies each segment once.
 */
export function openAnswerBatch(
  model: LoadedModel,
  { held }: { readonly held?: HeldPrompt } = {},
): AnswerBatch {
  let rows: readonly AnswerRow[] = [];
  let cache: KeyValueCache | undefined;

  /** Keeps some of the rows, and of those of another cache, in this order. */
  const arrange = (kept: readonly AnswerRow[], others: readonly AnswerRow[] = [], opened?: KeyValueCache) => {
    const all = [...rows, ...others];
    if (kept.length > 0)
      cache?.select(
        kept.map((row) => all.indexOf(row)),
        opened,
      );
    else if (!held) {
      cache?.dispose();
      cache = undefined;
    }
    rows = kept;
  };
  const endSome = (ended: readonly AnswerRow[]) => {
    if (ended.length > 0) arrange(rows.filter((row) => !ended.includes(row)));
  };

  return {
    get rows() {
      return rows;
    },

    async join(added) {
      const fresh = groupBySegments(added.filter(({ finish }) => finish === undefined));
      if (fresh.length === 0) return [];
      const opened = held?.cache ?? openCache(model, { batch: fresh.length, capacity: firstCapacity(fresh) });
      let logits: Float32Array[][];
      try {
        logits = await cachedLogits(
          model,
          fresh.map((row) => promptRow(model, row, held?.cachedTokens ?? 0)),
          opened,
        );
      } catch (error) {
        if (!held) opened.dispose();
        throw error;
      }
      const steps = takeAll(fresh, logits);
      const ended = endedIn(steps);
      if (cache) {
        arrange(groupBySegments([...rows, ...fresh].filter((row) => !ended.includes(row))), fresh, opened);
        opened.dispose();
      } else {
        [cache, rows] = [opened, fresh];
        endSome(ended);
      }
      return steps;
    },

    async step() {
      if (!cache || rows.length === 0) return [];
      const inputs = rows.map(({ ids, options: { segments } }) => ({ ids: ids.slice(-1), segments }));
      const steps = takeAll(rows, await cachedLogits(model, inputs, cache));
      endSome(endedIn(steps));
      return steps;
    },

    drop(dropped) {
      endSome(rows.filter((row) => dropped.includes(row)));
    },

    dispose() {
      arrange([]);
    },
  };
}

/** Room for the prompts and the first tokens after them. */
const firstCapacity = (rows: readonly AnswerRow[]): number =>
  Math.max(...rows.map(({ promptIds, limit }) => promptIds.length + Math.min(limit, 64)));

/** What of a prompt is still to be read. */
function promptRow(
  { spec }: LoadedModel,
  { promptIds, options: { image, audio, segments } }: AnswerRow,
  cachedTokens: number,
): CachedRow {
  const ids = promptIds.slice(cachedTokens);
  // An earlier turn may have read the image or the sounds.
  const isRead = (token = -1) => cachedTokens > 0 && !ids.includes(token);
  return {
    ids,
    ...(isRead(spec.vision?.imageTokenId) ? {} : { image }),
    ...(isRead(spec.audio?.audioTokenId) ? {} : { audio }),
    segments,
  };
}

/** Lets every row choose its next token; one that cannot does not keep the others from theirs. */
const takeAll = (rows: readonly AnswerRow[], logits: readonly (readonly Float32Array[])[]): RowStep[] =>
  rows.map((row, i) => {
    try {
      return { row, event: row.take(logits[i]?.[0] ?? new Float32Array()) };
    } catch (error) {
      return { row, error };
    }
  });

const endedIn = (steps: readonly RowStep[]): AnswerRow[] =>
  steps.flatMap(({ row, error }) => (error !== undefined || row.finish !== undefined ? [row] : []));

/** Places rows with the same segments next to each other, in the order of first appearance. */
function groupBySegments(rows: readonly AnswerRow[]): AnswerRow[] {
  const groups = new Map<SegmentsByLinear | undefined, AnswerRow[]>();
  for (const row of rows) {
    const { segments } = row.options;
    groups.set(segments, [...(groups.get(segments) ?? []), row]);
  }
  return [...groups.values()].flat();
}
