/** How a processor prepares a picture for a tower, and what it does where a checkpoint has no settings. */
import type { Resampling } from './resize.js';

export interface ImageProcessorSpec {
  readonly resampling: Resampling;
  /** How a picture is fitted to the tower's square. */
  readonly fit:
    | { readonly type: 'square' }
    /** Idefics3, SmolVLM: scale the longest edge to this many pixels, then scale to the square or cut into squares (`splits`). */
    | { readonly type: 'longest edge'; readonly pixels: number; readonly splits: boolean }
    /** CLIP: scale the shortest edge to this many pixels, then crop the middle. */
    | { readonly type: 'shortest edge'; readonly pixels: number };
  readonly rescale: number;
  readonly mean: readonly [number, number, number];
  readonly deviation: readonly [number, number, number];
}

const half = [0.5, 0.5, 0.5] as const;
const clipMean = [0.48145466, 0.4578275, 0.40821073] as const;
const clipDeviation = [0.26862954, 0.26130258, 0.27577711] as const;

/** The processor of a tower without a preprocessor_config.json. */
export function defaultProcessor(tower: 'siglip' | 'clip', imageSizePixels: number): ImageProcessorSpec {
  const shared = { resampling: 'bicubic', rescale: 1 / 255 } as const;
  return tower === 'siglip'
    ? { ...shared, fit: { type: 'square' }, mean: half, deviation: half }
    : {
        ...shared,
        fit: { type: 'shortest edge', pixels: imageSizePixels },
        mean: clipMean,
        deviation: clipDeviation,
      };
}
