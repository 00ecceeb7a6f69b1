/** Modality dropout: rows lose their image or their text at a rate, so that a task learns to answer without it. */
import { keyedRandom } from '@contextlora/lora';

import type { ChildData } from './child-data.js';

/** What a row loses in a step. */
export interface Dropped {
  readonly image: boolean;
  readonly text: boolean;
}

/**
 * Returns what row `index` of the task loses in `step`, a function of (seed, task, step, index) alone. A row without answers of parents
 * and sound never loses both.
 */
export function openInputDropout(
  { imageDropout, textDropout }: Pick<ChildData, 'imageDropout' | 'textDropout'>,
  { seed, task, hasOthers }: { readonly seed: number; readonly task: string; readonly hasOthers: boolean },
): (index: number, step: number) => Dropped {
  return (index, step) => {
    const random = keyedRandom(seed, 'input dropout', task, step, index);
    const image = random.next() < imageDropout;
    const text = random.next() < textDropout;
    return { image, text: text && (hasOthers || !image) };
  };
}
