/** A linear layer together with the segments in it: what its products cost and what it keeps in memory. */
import { masksFor, type Partition, type Roles } from '@contextlora/lora';
import { linearsOf, type ModelSpec } from '@contextlora/model';

/** A linear layer and the ranks of the segments in it. */
export interface AdaptedLinear {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Ranks that a step computes with. */
  readonly activeRanks: number;
  /** Ranks that a step trains. */
  readonly trainedRanks: number;
  /** Ranks of all tasks, in memory whether a step uses them or not. */
  readonly allRanks: number;
}

/** All linear layers of a model by name, with the ranks that `roles` activate and train. */
export function adaptedLinears(
  spec: ModelSpec,
  partition: Partition,
  roles: Roles,
): ReadonlyMap<string, AdaptedLinear> {
  const masks = new Map(masksFor(partition, roles).map(({ layer, active }) => [layer, active]));
  return new Map(
    linearsOf(spec).map(({ name, inFeatures, outFeatures }): [string, AdaptedLinear] => {
      const active = masks.get(name) ?? [];
      return [
        name,
        {
          inFeatures,
          outFeatures,
          activeRanks: ranksOf(active.map(({ span }) => span)),
          trainedRanks: ranksOf(active.filter(({ train }) => train).map(({ span }) => span)),
          allRanks: ranksOf(Object.values(partition.layers[name]?.spans ?? {})),
        },
      ];
    }),
  );
}

const ranksOf = (spans: readonly { readonly start: number; readonly end: number }[]): number =>
  spans.reduce((total, { start, end }) => total + end - start, 0);

/** The layer's output, or the gradient of its input: 2 · rows · (in · out + active ranks · (in + out)). */
export const throughFlops = ({ inFeatures, outFeatures, activeRanks }: AdaptedLinear, rows: number): number =>
  2 * rows * (inFeatures * outFeatures + activeRanks * (inFeatures + outFeatures));

/** Gradients of A and B: 2 · rows · trained ranks · (in + out). */
export const gradientFlops = (
  { inFeatures, outFeatures, trainedRanks }: AdaptedLinear,
  rows: number,
): number => 2 * rows * trainedRanks * (inFeatures + outFeatures);

/** dy B, which A's gradient needs; where the input's gradient is owed, {@link throughFlops} contains it. */
export const downFlops = ({ outFeatures, trainedRanks }: AdaptedLinear, rows: number): number =>
  2 * rows * outFeatures * trainedRanks;

/** A and B of every task, in float32. */
export const segmentBytes = ({ inFeatures, outFeatures, allRanks }: AdaptedLinear): number =>
  4 * allRanks * (inFeatures + outFeatures);

/** Gradients of what trains, and all that the optimizer keeps for it: those gradients and both moments of AdamW, in float32. */
export function trainedBytes(linears: readonly AdaptedLinear[]): {
  readonly gradientBytes: number;
  readonly optimizerBytes: number;
} {
  const gradientBytes = linears.reduce(
    (sum, { inFeatures, outFeatures, trainedRanks }) => sum + 4 * trainedRanks * (inFeatures + outFeatures),
    0,
  );
  return { gradientBytes, optimizerBytes: 3 * gradientBytes };
}
