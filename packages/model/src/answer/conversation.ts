/** Keys and values that stay between the turns of a conversation, so that each turn reads only what is new. */
import type { KeyValueCache } from '@contextlora/kernels';

import { openCache } from '../pass/cached-pass.js';
import type { SegmentsByLayer } from '../pass/language-pass.js';
import type { LoadedModel } from '../checkpoint/load-model.js';

/** What keys and values depend on besides the ids; compared by identity. */
export interface ReadWith {
  readonly segments?: SegmentsByLayer | undefined;
  readonly image?: Float32Array | undefined;
}

export interface Conversation {
  /** Of one row. */
  readonly cache: KeyValueCache;
  /** Keeps what begins the next prompt and drops the rest. @returns how many of the prompt's ids need not be read; never all. */
  resume(prompt: readonly number[], readWith: ReadWith): number;
  /** Says that the cache now holds the first of these ids, as many as it has positions. */
  keep(ids: readonly number[], readWith: ReadWith): void;
  /** Frees the cache. */
  dispose(): void;
}

/**
 * Opens a conversation for `generate`'s option of that name; one answer at a time. It needs the memory of a cache (see `openCache`) of its
 * longest turn. Where segments are trained on in place, open another.
 */
export function openConversation(model: LoadedModel): Conversation {
  const cache = openCache(model);
  const imageToken = model.spec.vision?.imageTokenId;
  let held: readonly number[] = [];
  let heldWith: ReadWith = {};
  return {
    cache,
    resume(prompt, { segments, image }) {
      const isSame = segments === heldWith.segments && image === heldWith.image;
      let kept = 0;
      // The last id is read anew: the answer begins with what follows it.
      while (isSame && kept < held.length && kept < prompt.length - 1 && held[kept] === prompt[kept]) kept++;
      // An image is read whole or not at all.
      const first = image && imageToken !== undefined ? prompt.indexOf(imageToken) : -1;
      if (first >= 0 && prompt.includes(imageToken!, kept)) kept = Math.min(kept, first);
      cache.truncate([kept]);
      held = held.slice(0, kept);
      return kept;
    },
    keep(ids, readWith) {
      held = ids.slice(0, cache.lengths[0]);
      heldWith = readWith;
    },
    dispose() {
      cache.dispose();
    },
  };
}
