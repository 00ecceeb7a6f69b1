/** Which members of neighbouring stages exchange which samples. */
import type { SampleShares } from './sample-shares.js';

export interface Partner {
  /** Index of the member in its stage. */
  readonly member: number;
  readonly samples: number;
}

/**
 * The members of stage `other` that handle samples of the micro-batch which this member handles too.
 *
 * Members take contiguous samples in their order.
 */
export function partnersOf(
  shares: SampleShares,
  task: number,
  microbatch: number,
  { stage, member, other }: { stage: number; member: number; other: number },
): Partner[] {
  const ours = shares[task]![stage]![microbatch]!;
  let start = 0;
  for (let before = 0; before < member; before++) start += ours[before]!;
  const end = start + ours[member]!;
  const found: Partner[] = [];
  let from = 0;
  for (const [index, samples] of shares[task]![other]![microbatch]!.entries()) {
    const common = Math.min(end, from + samples) - Math.max(start, from);
    if (common > 0) found.push({ member: index, samples: common });
    from += samples;
  }
  return found;
}
