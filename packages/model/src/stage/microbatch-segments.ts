/** The segments that a micro-batch is computed with: those of its task, less what it leaves out. */
import type { LoadedLayers } from '../checkpoint/loaded-layers.js';
import { connectorName } from '../pass/embed.js';
import { type RowPositions, withDropout } from '../pass/lora-dropout.js';
import type { ActiveSegments } from './active-segments.js';
import type { MicrobatchHeader } from './microbatch.js';
import type { StageInput } from './stage-executor.js';

/** `step` counts the steps that the task has taken. */
export function segmentsOfMicrobatch(
  { spec }: Pick<LoadedLayers, 'spec'>,
  { dropout, batch, time, lengths }: MicrobatchHeader,
  { tokens }: StageInput,
  { segments, step }: { readonly segments: ActiveSegments['byLinear']; readonly step: number },
): ActiveSegments['byLinear'] {
  if (!dropout) return segments;
  const positions: RowPositions = {
    total: batch * time,
    rows: lengths.map((length, row) => ({ start: row * time, length })),
  };
  /** The connector reads the image tokens of one row after the other. */
  const imagePositions = (): RowPositions => {
    let total = 0;
    const rows = (tokens?.rows ?? []).map((ids, row) => {
      const start = total;
      if (tokens?.images[row] != null) total += ids.filter((id) => id === spec.vision?.imageTokenId).length;
      return { start, length: total - start };
    });
    return { total, rows };
  };
  const connector = connectorName({ spec });
  return withDropout(segments, dropout, {
    step,
    positionsIn: (linear) => (linear === connector ? imagePositions() : positions),
  });
}
