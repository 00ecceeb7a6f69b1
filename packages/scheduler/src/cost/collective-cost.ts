/**
 * What an exchange in a group costs: a ring of its members, as NCCL and Gloo do it.
 *
 *   all-reduce                    2 (g − 1) / g · bytes per member
 *   all-gather, reduce-scatter      (g − 1) / g · bytes per member
 *
 * The slowest hop of the ring sets the pace, and every link of the ring is occupied as long as that takes. Hops on a shared medium add up
 * on its air.
 */
import type { CollectiveInstruction } from '../schedule/schedule.js';
import type { CostModel } from './cost-model.js';
import { airSeconds } from './routes.js';

/** A directed link, or the air of a medium, that something occupies. */
export interface Occupation {
  /** Device indices; of a medium they mean nothing. */
  readonly from: number;
  readonly to: number;
  /** -1 for a separate link. */
  readonly medium: number;
  readonly seconds: number;
}

export interface CollectiveCost {
  /** Of the longest occupation; Infinity when two neighbours cannot reach each other. */
  readonly seconds: number;
  readonly latencySeconds: number;
  readonly occupations: readonly Occupation[];
  /** Over all members. */
  readonly bytes: number;
}

/** @param members device indices, in the order of the ring */
export function collectiveCost(
  { routes }: Pick<CostModel, 'routes'>,
  { operation, bytes, messages }: Pick<CollectiveInstruction, 'operation' | 'bytes' | 'messages'>,
  members: readonly number[],
): CollectiveCost {
  const count = members.length;
  const none = { latencySeconds: 0, occupations: [], bytes: 0 };
  if (count < 2) return { seconds: 0, ...none };
  const hops = (operation === 'allReduce' ? 2 : 1) * (count - 1);
  const perMember = (hops / count) * bytes;
  const links: { readonly from: number; readonly to: number }[] = [];
  const air = new Map<number, number>();
  let slowest = Infinity;
  let latency = 0;
  for (const [index, from] of members.entries()) {
    const to = members[(index + 1) % count]!;
    const route = routes.route(from, to);
    if (!route) return { seconds: Infinity, ...none };
    slowest = Math.min(slowest, route.bytesPerSecond);
    latency = Math.max(latency, route.latencySeconds);
    if (route.medium < 0) links.push({ from, to });
    else air.set(route.medium, (air.get(route.medium) ?? 0) + airSeconds(route, perMember));
  }
  const pace = perMember / slowest;
  const occupations = [
    ...links.map((link) => ({ ...link, medium: -1, seconds: pace })),
    ...[...air].map(([medium, seconds]) => ({ from: -1, to: -1, medium, seconds })),
  ];
  return {
    seconds: occupations.reduce((longest, { seconds }) => Math.max(longest, seconds), pace),
    latencySeconds: latency * hops * messages,
    occupations,
    bytes: perMember * count,
  };
}
