/**
 * What an exchange in a group costs: a ring of its members, as NCCL and Gloo do it.
 *
 *   all-reduce                    2 (g − 1) / g · bytes per member
 *   all-gather, reduce-scatter      (g − 1) / g · bytes per member
 *
 * The slowest link of the ring sets the rate; on a shared medium all members' bytes cross the same air.
 */
import type { CollectiveInstruction } from '../schedule/schedule.js';
import type { CostModel } from './cost-model.js';

interface CollectiveCost {
  /** Time on the air of `medium`, or over the slowest link. */
  readonly seconds: number;
  readonly latencySeconds: number;
  /** -1 when the members have separate links. */
  readonly medium: number;
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
  if (count < 2) return { seconds: 0, latencySeconds: 0, medium: -1, bytes: 0 };
  const hops = (operation === 'allReduce' ? 2 : 1) * (count - 1);
  const perMember = (hops / count) * bytes;
  let slowest = Infinity;
  let latency = 0;
  let medium: number | undefined;
  for (let index = 0; index < count; index++) {
    const route = routes.route(members[index]!, members[(index + 1) % count]!);
    if (!route) return { seconds: Infinity, latencySeconds: 0, medium: -1, bytes: 0 };
    slowest = Math.min(slowest, route.bytesPerSecond);
    latency = Math.max(latency, route.latencySeconds);
    medium = medium === undefined || medium === route.medium ? route.medium : -1;
  }
  const shared = medium !== undefined && medium >= 0;
  return {
    seconds: (shared ? perMember * count : perMember) / slowest,
    latencySeconds: latency * hops * messages,
    medium: shared ? medium! : -1,
    bytes: perMember * count,
  };
}
