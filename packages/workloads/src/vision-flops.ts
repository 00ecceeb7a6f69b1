/** FLOPs of a vision tower. */
import type { ModelSpec } from '@contextlora/model';

/**
 * The tower for one image: patches, then in every layer four square products, attention over all pairs, and the MLP. In LLaVA the frozen
 * layer before the connector (its output has `textSize` columns) counts too.
 */
export function visionFlops(
  {
    tower,
    imageSizePixels,
    patchSizePixels,
    hiddenSize: d,
    mlpSize,
    layerCount,
    projector,
    tokenCount,
  }: NonNullable<ModelSpec['vision']>,
  textSize: number,
): number {
  const patches = (imageSizePixels / patchSizePixels) ** 2;
  const positions = tower === 'clip' ? patches + 1 : patches;
  const layer = 2 * positions * (4 * d * d + 2 * d * mlpSize) + 4 * positions * positions * d;
  return (
    2 * patches * 3 * patchSizePixels ** 2 * d +
    layerCount * layer +
    (projector ? 2 * tokenCount * d * textSize : 0)
  );
}
