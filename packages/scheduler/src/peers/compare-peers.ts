/** The best result of each peer strategy, tuned, on the same workloads and devices and by the same simulator. */
import { openCostModel } from '../cost/cost-model.js';
import { checkInput } from '../problem/check-input.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import { limits } from '../search/effort.js';
import { peers } from './peers.js';
import { type Strategy, tuneStrategy } from './strategy.js';

export interface PeerResult {
  readonly strategy: string;
  readonly totalSeconds: number;
}

/**
 * Peers train one task after the other, each with its best settings. Fastest first; peers for which nothing fits are left out.
 *
 * @throws SchedulerError listing everything that is wrong with the workloads and the cluster.
 */
export function comparePeers(
  workloads: readonly Workload[],
  cluster: Cluster,
  strategies: readonly Strategy[] = peers,
): PeerResult[] {
  checkInput(workloads, cluster, 'comparePeers');
  return strategies
    .flatMap((strategy): PeerResult[] => {
      let totalSeconds = 0;
      for (const workload of workloads) {
        const found = tuneStrategy(strategy, {
          costs: openCostModel([workload], cluster),
          tasks: [workload.name],
          steps: workload.steps ?? 1,
          cache: {},
          cacheBytes: {},
          objective: 'time',
          microbatches: limits.peerDivisions.filter((count) => count <= workload.samples),
          window: 2,
          groupLimit: cluster.devices.length,
          policies: [],
        });
        if (!found) return [];
        totalSeconds += found.totalSeconds;
      }
      return [{ strategy: strategy.name, totalSeconds }];
    })
    .sort((a, b) => a.totalSeconds - b.totalSeconds);
}
