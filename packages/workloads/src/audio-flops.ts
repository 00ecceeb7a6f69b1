/** FLOPs of an audio tower. */
import type { ModelSpec } from '@contextlora/model';

/** The tower at so many positions: two convolutions, in every layer four square products, attention over all pairs and the MLP, then the projector. */
export function audioFlops(
  { tower, melBins, hiddenSize: d, mlpSize, layerCount, projector }: NonNullable<ModelSpec['audio']>,
  positions: number,
): number {
  const convolutions = 2 * (2 * positions) * 3 * melBins * d + 2 * positions * 3 * d * d;
  const layer = 2 * positions * (4 * d * d + 2 * d * mlpSize) + 4 * positions * positions * d;
  const tokens = tower === 'voxtral' ? (positions * d) / mlpSize : Math.floor(positions / 2);
  return (
    convolutions +
    layerCount * layer +
    projector.reduce((sum, { inFeatures, outFeatures }) => sum + 2 * tokens * inFeatures * outFeatures, 0)
  );
}
