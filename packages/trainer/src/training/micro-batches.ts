/** A batch in parts. */

/** Consecutive parts whose sizes differ by at most one, the larger first; as many as there are examples, if they are fewer. */
export function microBatchesOf<T>(batch: readonly T[], parts: number): T[][] {
  const count = Math.min(parts, batch.length);
  const startOf = (part: number) => Math.ceil((part * batch.length) / count);
  return Array.from({ length: count }, (_, part) => batch.slice(startOf(part), startOf(part + 1)));
}
