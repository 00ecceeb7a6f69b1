/** `contextlora profile --link HOST`: the links of this machine, and which of them share a medium. */
import {
  type LinkEndpoint,
  type LinkSharing,
  lossOf,
  type MeasuredLink,
  measureLink,
  measureSharing,
} from '@contextlora/jetson';

import { CliError } from '../cli-error.js';
import type { CommandContext } from '../command-context.js';
import type { ProfileOptions } from './profile-options.js';

export interface LinksMeasurement {
  readonly links: readonly MeasuredLink[];
  readonly sharings: readonly LinkSharing[];
}

/** Measures one link after the other, then each pair of them. */
export async function measureLinks(
  endpoints: readonly LinkEndpoint[],
  { id, budget }: ProfileOptions,
  { clock, signal }: CommandContext,
): Promise<LinksMeasurement> {
  const options = { clock, budgetSeconds: budget, signal };
  const links: MeasuredLink[] = [];
  for (const endpoint of endpoints) {
    const link = await measureLink(endpoint, options);
    const sameName =
      link.peer === id ? 'this machine' : links.some(({ peer }) => peer === link.peer) && 'another';
    if (sameName)
      throw new CliError(
        'CLI_OPTIONS_INVALID',
        'profile',
        `the machine at ${endpoint.host} calls itself "${link.peer}", as ${sameName} does; give each machine its own name with --id`,
      );
    links.push(link);
  }
  const sharings: LinkSharing[] = [];
  for (const [first, firstEnd] of endpoints.entries())
    for (const [second, secondEnd] of endpoints.entries())
      if (first < second)
        sharings.push({
          ...(await measureSharing([firstEnd, secondEnd], {
            ...options,
            loss: Math.max(lossOf(links[first]!), lossOf(links[second]!)),
          })),
          links: [first, second],
        });
  return { links, sharings };
}
