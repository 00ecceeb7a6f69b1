/** Whether two links, or the two directions of one, share a medium. */
import { fitSharing, type Sharing } from './fit-sharing.js';
import type { Throughput } from './fit-throughput.js';
import { type CheckedLinkOptions, checkedLinkOptions, type MeasureLinkOptions } from './link-options.js';
import { measureThroughput } from './measure-throughput.js';
import type { LinkEndpoint } from './parse-endpoint.js';

export interface MeasureSharingOptions extends MeasureLinkOptions {
  /** The larger loss of the two links, from {@link lossOf}; 0 if absent. */
  readonly loss?: number;
}

/**
 * Receives from the first end while sending to the second, and compares the rates with those of each stream alone.
 *
 * The streams run in opposite directions, because two streams in the same direction would share this machine's port even on a switch.
 *
 * @throws JetsonError if the budget is not from 0.5 to 180 s, and as `measureLink` does.
 */
export async function measureSharing(
  endpoints: readonly [LinkEndpoint, LinkEndpoint],
  options: MeasureSharingOptions,
): Promise<Sharing> {
  const checked = checkedLinkOptions(options, 180);
  const [first, second] = endpoints;
  const seconds = checked.budgetSeconds / 3;
  const alone = [
    await measureThroughput(first, 'download', seconds, checked),
    await measureThroughput(second, 'upload', seconds, checked),
  ] as const;
  return measureAtOnce(endpoints, alone, seconds, { ...checked, loss: options.loss ?? 0 });
}

/**
 * The offered part of each stream's rate alone. At full speed, each stream's acknowledgements would wait in the queue that the other fills,
 * and the two would slow each other down on any link.
 */
const offeredShare = 0.8;

/** Receives from the first end while sending to the second, at less than their rates alone. */
export async function measureAtOnce(
  [first, second]: readonly [LinkEndpoint, LinkEndpoint],
  [download, upload]: readonly [Throughput, Throughput],
  seconds: number,
  { loss, ...options }: CheckedLinkOptions & { readonly loss: number },
): Promise<Sharing> {
  const alone = [download.bytesPerSecond, upload.bytesPerSecond] as const;
  const offered = [offeredShare * alone[0], offeredShare * alone[1]] as const;
  const [down, up] = await Promise.all([
    measureThroughput(first, 'download', seconds, { ...options, bytesPerSecond: offered[0] }),
    measureThroughput(second, 'upload', seconds, { ...options, bytesPerSecond: offered[1] }),
  ]);
  return fitSharing({ alone, offered, loss, together: [down.bytesPerSecond, up.bytesPerSecond] });
}
