/** The additive mask of attention: 0 where a query may look, −1e9 where it may not. */
import type { AttentionShape } from '../kernels.js';

const hidden = -1e9;

/**
 * The mask `[items, group · time, time]`, items 1 or batch; the `group` query heads that share a key/value head follow each other.
 * Undefined if nothing is hidden.
 */
export function attentionMask({
  batch,
  time,
  heads,
  kvHeads,
  causal,
  firstKeys,
}: AttentionShape): { items: number; values: Float32Array } | undefined {
  const padded = firstKeys?.some((first) => first > 0) ?? false;
  if (!causal && !padded) return undefined;
  const group = heads / kvHeads;
  const items = padded ? batch : 1;
  const values = new Float32Array(items * group * time * time);
  for (let item = 0; item < items; item++) {
    const first = padded ? (firstKeys?.[item] ?? 0) : 0;
    for (let row = 0; row < group * time; row++) {
      const query = row % time;
      const start = (item * group * time + row) * time;
      for (let key = 0; key < time; key++)
        if ((causal && key > query) || key < first) values[start + key] = hidden;
    }
  }
  return { items, values };
}
