/** Measured links as the scheduler takes them. */
import type { LinkProfile } from '@contextlora/scheduler';

import type { Sharing } from './fit-sharing.js';
import type { MeasuredLink } from './measure-link.js';

/** Of the links with these places in the list. */
export interface LinkSharing extends Sharing {
  readonly links: readonly [number, number];
}

export interface LinkProfilesOptions {
  /** What this machine is called. */
  readonly id: string;
  readonly sharings?: readonly LinkSharing[];
  /** What a medium is called; machines on one channel give the same name. A second one found from here is `wifi-2`. */
  readonly medium?: string;
}

/**
 * Both directions of every link. What got lost and was sent again is in the rates already, so no loss stands beside them.
 *
 * Links that share, each by its two directions or with another link, are on one medium; which are connected by sharing are on the same.
 */
export function linkProfiles(
  links: readonly MeasuredLink[],
  { id, sharings = [], medium = 'wifi' }: LinkProfilesOptions,
): LinkProfile[] {
  const leader = links.map((_, index) => index);
  const find = (index: number): number => {
    const above = leader[index] ?? index;
    return above === index ? index : find(above);
  };
  const onMedium = new Set(
    links.flatMap(({ directions }, index) => (directions.verdict === 'shared' ? [index] : [])),
  );
  for (const { verdict, links: pair } of sharings)
    if (verdict === 'shared') {
      const [first, second] = pair;
      leader[Math.max(find(first), find(second))] = Math.min(find(first), find(second));
      onMedium.add(first).add(second);
    }
  const leaders = [...new Set([...onMedium].map(find))].sort((a, b) => a - b);
  const mediumOf = (index: number): string => {
    const place = leaders.indexOf(find(index));
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
