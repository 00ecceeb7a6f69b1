/** Keeps keys and values between the turns of a conversation, so that each turn reads only new tokens. */
import type { KeyValueCache } from '@contextlora/kernels';

import type { LoadedModel } from '../checkpoint/load-model.js';
import { openCache } from '../pass/cached-pass.js';
import type { SegmentsByLinear } from '../pass/segments.js';

/** What keys and values depend on in addition to the ids; compared by identity. */
interface ReadWith {
  readonly segments?: SegmentsByLinear | undefined;
  readonly image?: Float32Array | undefined;
  readonly audio?: Float32Array | undefined;
}

export interface Conversation {
  /** A cache of one row. */
  readonly cache: KeyValueCache;
  /** Keeps the ids that the next prompt begins with and drops the rest. @returns how many of the prompt's ids need not be read; never all. */
  resume(prompt: readonly number[], readWith: ReadWith): number;
  /** Records that the cache now holds the first of these ids, as many as it has positions. */
  keep(ids: readonly number[], readWith: ReadWith): void;
  /** Frees the cache. */
  dispose(): void;
}

/**
 * Opens a conversation for `generate`'s option of that name; one answer at a time. It needs the memory of a cache (see `openCache`) for its
 * longest turn. After segments were trained in place, open a new one.
 */
export function openConversation(model: LoadedModel): Conversation {
  const cache = openCache(model);
  const { vision, audio: tower } = model.spec;
  let held: readonly number[] = [];
  let heldWith: ReadWith = {};
  return {
    cache,
    resume(prompt, { segments, image, audio }) {
      const isSame = segments === heldWith.segments && image === heldWith.image && audio === heldWith.audio;
      let kept = 0;
      // The last id is read again: its logits begin the answer.
      while (isSame && kept < held.length && kept < prompt.length - 1 && held[kept] === prompt[kept]) kept++;
      // Images and sounds are read as a whole or not at all.
      for (const [features, token] of [
        [image, vision?.imageTokenId],
        [audio, tower?.audioTokenId],
      ] as const)
        if (features && token !== undefined && prompt.includes(token, kept))
          kept = Math.min(kept, prompt.indexOf(token));
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
