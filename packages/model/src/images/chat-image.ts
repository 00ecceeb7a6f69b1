/** A picture for a conversation: where its tokens go, and what the model sees there. */
import type { LoadedModel } from '../checkpoint/load-model.js';
import { ModelError } from '../model-error.js';
import { visionFeatures } from '../pass/vision-tower.js';
import { framesImages, type TileLayout } from './image-text.js';
import { readImage, readImageTiles } from './read-picture.js';

export interface ChatImage {
  readonly layout: TileLayout;
  /** `[image tokens, wide]`, of all tiles in order: the `image` of `generate`. */
  readonly features: Float32Array;
}

/**
 * Reads a picture, split into tiles where the model's processor splits it and its tokenizer has the tokens for tiles; `whole` keeps it in one
 * piece, as training does.
 *
 * @throws ModelError when the model has no vision tower, or the file is no picture that is read.
 */
export async function readChatImage(
  model: LoadedModel,
  path: string,
  { whole = false }: { readonly whole?: boolean } = {},
): Promise<ChatImage> {
  const { vision, spec, kernels } = model;
  if (!vision || !spec.vision)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'readChatImage',
      `the model has no vision tower, so it cannot see ${path}; use a model with one`,
    );
  const { rows, columns, images } =
    whole || !framesImages(model)
      ? { rows: 0, columns: 0, images: [await readImage(path, spec.vision)] }
      : await readImageTiles(path, spec.vision);
  const parts: Float32Array[] = [];
  // One tile at a time: a split picture may have dozens.
  for (const image of images)
    parts.push(...(await visionFeatures([image], vision, { spec: spec.vision, kernels })));
  const features = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    features.set(part, at);
    at += part.length;
  }
  return { layout: { rows, columns }, features };
}
