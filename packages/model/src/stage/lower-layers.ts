/**
 * The layers below the lowest that a task trains, whose output for a sequence is the same in every step of a phase: where they end, and
 * what else their output depends on.
 */
import {
  type LayerMask,
  masksFor,
  type Partition,
  type Roles,
  type Segment,
  type Segments,
} from '@contextlora/lora';
import { hashSegment } from '@contextlora/lora/files';

import { layerOfLinear } from '../spec/layer-range.js';
import type { ModelSpec } from '../spec/model-spec.js';

/** The lowest layer that the masks train, where 0 is the connector's; Infinity if none does. */
export function lowestTrained(
  masks: readonly LayerMask[],
  layerOf: ReadonlyMap<string, number>,
  { hasImages }: { hasImages: boolean },
): number {
  const layers = masks
    .filter(({ active }) => active.some(({ train }) => train))
    .map(({ layer }) => layerOf.get(layer) ?? Infinity)
    .filter((layer) => hasImages || layer > 0);
  return Math.min(...layers);
}

/**
 * Stands for everything that the output below the lowest layer that trains depends on but the base and the sequence: the segments that are
 * active there. Undefined if there is nothing below, if images go through a connector that trains, or if one of those segments is trained in
 * the same phase. `segments` has those of all layers.
 */
export function lowerLayersKey(
  spec: ModelSpec,
  partition: Partition,
  {
    task,
    roles,
    segments,
  }: {
    readonly task: string;
    /** Those of the phase. */
    readonly roles: Readonly<Record<string, Roles>>;
    readonly segments: Segments;
  },
): string | undefined {
  const layerOf = layerOfLinear(spec);
  const masks = masksFor(partition, roles[task] ?? {});
  const lowest = lowestTrained(masks, layerOf, { hasImages: true });
  if (!(lowest > 0 && lowest < Infinity)) return undefined;
  const below = masks
    .filter(({ layer }) => (layerOf.get(layer) ?? Infinity) < lowest)
    .flatMap(({ layer, active }) => active.map((one) => ({ layer, task: one.task, scale: one.scale })))
    .filter(({ layer, task: owner }) => segments[owner]?.[layer]);
  const owners = [...new Set(below.map(({ task: owner }) => owner))];
  const changes = (owner: string) => Object.values(roles).some((one) => one[owner] === 'train');
  if (owners.some(changes)) return undefined;
  const parts = owners.map((owner) => {
    const own = below.filter((one) => one.task === owner);
    const segment: Segment = Object.fromEntries(own.map(({ layer }) => [layer, segments[owner]![layer]!]));
    return [hashSegment(segment), own.map(({ scale }) => scale)];
  });
  return JSON.stringify([lowest, parts]);
}
