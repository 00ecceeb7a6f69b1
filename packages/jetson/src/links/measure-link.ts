/** The measuring end of a link: throughput both ways, latency, loss, and whether its two directions share a medium. */
import type { Sharing } from './fit-sharing.js';
import type { Throughput } from './fit-throughput.js';
import { checkedLinkOptions, type MeasureLinkOptions } from './link-options.js';
import { maxSeconds } from './link-protocol.js';
import { type Latency, measureLatency } from './measure-latency.js';
import { type Loss, lossOf, measureLoss } from './measure-loss.js';
import { measureAtOnce } from './measure-sharing.js';
import { measureThroughput } from './measure-throughput.js';
import type { LinkEndpoint } from './parse-endpoint.js';

/** `download` is towards this machine, `upload` towards the other. */
export interface MeasuredLink {
  /** The name of the other end. */
  readonly peer: string;
  readonly download: Throughput;
  readonly upload: Throughput;
  readonly latency: Latency;
  /** Absent if no datagram came back, which points to a firewall rather than to a network that loses everything. */
  readonly loss?: Loss;
  /** Both directions at once: half-duplex media (Wi-Fi) divide their airtime between them. */
  readonly directions: Sharing;
}

/**
 * Measures the link to a listening end.
 *
 * @throws JetsonError if the budget is not from 0.5 to 300 s, nothing listens at the endpoint, or the other end falls silent or answers incorrectly.
 */
export async function measureLink(
  endpoint: LinkEndpoint,
  options: MeasureLinkOptions,
): Promise<MeasuredLink> {
  const checked = checkedLinkOptions(options, 300);
  const secondsOf = (share: number) => Math.min(maxSeconds, share * checked.budgetSeconds);
  const { peer, latency } = await measureLatency(endpoint, secondsOf(0.1), checked);
  const download = await measureThroughput(endpoint, 'download', secondsOf(0.2), checked);
  const upload = await measureThroughput(endpoint, 'upload', secondsOf(0.2), checked);
  const bytesPerSecond = Math.min(download.bytesPerSecond, upload.bytesPerSecond);
  const loss = await measureLoss(endpoint, secondsOf(0.2), { ...checked, bytesPerSecond, latency });
  const directions = await measureAtOnce([endpoint, endpoint], [download, upload], secondsOf(0.2), {
    ...checked,
    loss: lossOf({ loss }),
  });
  return { peer, download, upload, latency, ...(loss && { loss }), directions };
}
