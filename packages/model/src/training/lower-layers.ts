/**
 * The layers below the lowest that trains, whose output for a sequence is the same in every step of a phase: the input of the layers above,
 * taken from a cache.
 */
import { tensor2d, type Tensor2D } from '@contextlora/kernels/tfjs';
import type { LayerMask, Segment, Segments } from '@contextlora/lora';
import { hashSegment } from '@contextlora/lora/files';

import type { LoadedModel } from '../checkpoint/load-model.js';
import { outputBelow } from '../pass/language-pass.js';
import type { SegmentsByLinear } from '../pass/segments.js';
import { batchOf, type TokenBatch } from '../pass/token-batch.js';
import { linearsOf } from '../spec/model-spec.js';
import type { ActivationCache } from './activation-cache.js';

/** The layers below the lowest that trains. */
export interface LowerLayers {
  /** How many there are. */
  readonly count: number;
  /** Stands for everything that their output depends on but the base and the sequence: the segments that are active in them. */
  readonly key: string;
}

/** What a phase knows of the lower layers of its tasks. */
export interface LowerLayersOfPhase {
  /** Those of a task, found at its first step. */
  of(task: string, masks: readonly LayerMask[], segments: Segments): LowerLayers | undefined;
  /** To be called when segments are replaced. */
  forget(): void;
}

/** Opens the knowledge of a phase in which the segments of the `changing` tasks are trained. */
export function openLowerLayers(model: LoadedModel, changing: ReadonlySet<string>): LowerLayersOfPhase {
  const known = new Map<string, LowerLayers | undefined>();
  return {
    of(task, masks, segments) {
      if (!known.has(task)) known.set(task, lowerLayersOf(model, masks, { segments, changing }));
      return known.get(task);
    },
    forget() {
      known.clear();
    },
  };
}

/**
 * The layers below the lowest that the masks train; undefined if there is none, if image features go through a connector that trains, or if a
 * segment that is active there changes in this phase (`changing`).
 */
function lowerLayersOf(
  { spec }: LoadedModel,
  masks: readonly LayerMask[],
  { segments, changing }: { segments: Segments; changing: ReadonlySet<string> },
): LowerLayers | undefined {
  const layerOf = new Map(linearsOf(spec).map(({ name, layerIndex = -1 }) => [name, layerIndex]));
  const trained = masks.filter(({ active }) => active.some(({ train }) => train));
  const count = Math.min(...trained.map(({ layer }) => layerOf.get(layer) ?? -1));
  if (!(count > 0 && count < Infinity)) return undefined;
  const below = masks
    .filter(({ layer }) => (layerOf.get(layer) ?? Infinity) < count)
    .flatMap(({ layer, active }) => active.map(({ task, scale }) => ({ layer, task, scale })))
    .filter(({ layer, task }) => segments[task]?.[layer]);
  const tasks = [...new Set(below.map(({ task }) => task))];
  if (tasks.some((task) => changing.has(task))) return undefined;
  const parts = tasks.map((task) => {
    const own = below.filter((one) => one.task === task);
    const segment: Segment = Object.fromEntries(own.map(({ layer }) => [layer, segments[task]![layer]!]));
    return [hashSegment(segment), own.map(({ scale }) => scale)];
  });
  return { count, key: JSON.stringify([count, parts]) };
}

/** A sequence as the cache knows it. */
export interface Sequence {
  readonly ids: readonly number[];
  /** The path of its image. */
  readonly image?: string | undefined;
}

/**
 * Products of fewer rows than this may be rounded otherwise than those of more; a sequence gets the same numbers in every batch of at least
 * so many rows.
 */
const fewestRows = 8;

/**
 * The output of the lower layers for a batch, `[batch · time, hidden]`, zero in the padding; the numbers are those of the pass without a
 * cache. Undefined for a batch that is too small for that.
 */
export async function lowerOutput(
  model: LoadedModel,
  tokens: TokenBatch,
  sequences: readonly Sequence[],
  {
    lower: { count, key },
    segments,
    cache,
  }: { lower: LowerLayers; segments: SegmentsByLinear; cache: ActivationCache },
): Promise<Tensor2D | undefined> {
  const { batch, time, images } = tokens;
  if (batch * time < fewestRows) return undefined;
  const { hiddenSize } = model.spec.text;
  const keys = sequences.map(({ ids, image = '' }) => `${key} ${ids.join()} ${image}`);
  const found = await cache.get(keys, async (missing) => {
    const some = missing.map((index) => sequences[index]!.ids);
    const part = batchOf(
      model,
      some,
      missing.map((index) => images[index]),
      { minimumTime: Math.ceil(fewestRows / missing.length) },
    );
    const output = outputBelow(model, part, { layer: count, segments });
    const values = (await output.data()) as Float32Array;
    output.dispose();
    return some.map(({ length }, row) =>
      values.slice(row * part.time * hiddenSize, (row * part.time + length) * hiddenSize),
    );
  });
  const all = new Float32Array(batch * time * hiddenSize);
  for (const [row, values] of found.entries()) all.set(values, row * time * hiddenSize);
  return tensor2d(all, [batch * time, hiddenSize]);
}
