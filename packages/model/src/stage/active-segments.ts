/** The segments that a task's passes use, as tensors that live as long as a pass in flight needs them. */
import type { TaskSegment, UploadedSegments } from '../pass/segments.js';

export interface ActiveSegments {
  readonly byLinear: ReadonlyMap<string, readonly TaskSegment[]>;
  /** Keeps the tensors until the function that it returns is called. */
  hold(): () => void;
  /** Says that no new pass will use them. */
  retire(): void;
}

/** Frees uploaded segments once they are retired and nobody holds them. */
export function openActiveSegments(
  uploaded: UploadedSegments & Pick<ActiveSegments, 'byLinear'>,
): ActiveSegments {
  let holders = 0;
  let isRetired = false;
  const freeUnused = () => {
    if (isRetired && holders === 0) uploaded.dispose();
  };
  return {
    byLinear: uploaded.byLinear,
    hold() {
      holders += 1;
      return () => {
        holders -= 1;
        freeUnused();
      };
    },
    retire() {
      isRetired = true;
      freeUnused();
    },
  };
}
