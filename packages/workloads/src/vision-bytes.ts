/** Memory that pictures take: of the tower while it looks at them, and of its output, which is kept. */
import type { ModelSpec } from '@contextlora/model';

/** The normalised pictures that the tower reads at once, at most, in bytes and in number. */
const [mostInputBytes, mostPictures] = [2 ** 24, 64];

/** One batch in one layer of the tower, with its pixels; 0 for a model without one. */
export function visionBytes({ vision }: ModelSpec): number {
  if (!vision) return 0;
  const { imageSizePixels, patchSizePixels, hiddenSize, mlpSize, heads } = vision;
  const pixelBytes = 4 * 3 * imageSizePixels ** 2;
  const pictures = Math.max(1, Math.min(mostPictures, Math.floor(mostInputBytes / pixelBytes)));
  const positions = (imageSizePixels / patchSizePixels) ** 2 + 1;
  return pictures * (3 * pixelBytes + 4 * positions * (10 * hiddenSize + 3 * mlpSize + heads * positions));
}

/** The features of one picture. */
export const visionFeatureBytes = ({ vision }: ModelSpec): number =>
  vision ? 4 * vision.tokenCount * vision.connector.inFeatures : 0;
