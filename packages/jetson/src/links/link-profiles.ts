/** Measured links as links of the scheduler. */
import type { LinkProfile } from '@contextlora/scheduler';

import type { Sharing } from './fit-sharing.js';
import type { MeasuredLink } from './measure-link.js';

/** Sharing between two links, given by their indices in the list. */
export interface LinkSharing extends Sharing {
  readonly links: readonly [number, number];
}

export interface LinkProfilesOptions {
  /** This machine's name. */
  readonly id: string;
  readonly sharings?: readonly LinkSharing[];
  /** Name of the medium, the same on all machines of one channel; a second medium found from this machine is `wifi-2`. */
  readonly medium?: string;
}

/**
 * Converts both directions of every link, without loss, because the rates already include retransmissions.
 *
 * A link has a medium if its two directions share one or it shares with another link; links connected by sharing have the same medium.
 */
export function linkProfiles(
  links: readonly MeasuredLink[],
  { id, sharings = [], medium = 'wifi' }: LinkProfilesOptions,
): LinkProfile[] {
  // Union-find: every link points to a link of its medium with a smaller or the same index.
  const parents = links.map((_, index) => index);
  const rootOf = (index: number): number => {
    const parent = parents[index] ?? index;
    return parent === index ? index : rootOf(parent);
  };
  const onMedium = new Set(
    links.flatMap(({ directions }, index) => (directions.verdict === 'shared' ? [index] : [])),
  );
  for (const { verdict, links: pair } of sharings)
    if (verdict === 'shared') {
      const [first, second] = pair;
      const [a, b] = [rootOf(first), rootOf(second)];
      parents[Math.max(a, b)] = Math.min(a, b);
      onMedium.add(first).add(second);
    }
  const roots = [...new Set([...onMedium].map(rootOf))].sort((a, b) => a - b);
  const mediumOf = (index: number): string => {
    const place = roots.indexOf(rootOf(index));
    return place === 0 ? medium : `${medium}-${place + 1}`;
  };
  return links.flatMap(({ peer, download, upload, latency }, index): LinkProfile[] => {
    const rest = {
      latencySeconds: latency.seconds,
      ...(onMedium.has(index) && { medium: mediumOf(index) }),
    };
    return [
      { from: id, to: peer, bytesPerSecond: upload.bytesPerSecond, ...rest },
      { from: peer, to: id, bytesPerSecond: download.bytesPerSecond, ...rest },
    ];
  });
}
