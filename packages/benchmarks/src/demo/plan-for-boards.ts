/** How long a task graph would train with SmolLM2-135M on five boards: simulated, from published figures. */
import { publishedCluster } from '@contextlora/jetson';
import { publishedSpec } from '@contextlora/model';
import {
  type Cluster,
  clusterInModes,
  planAndSimulate,
  type SimulatedPlan,
  type Workload,
} from '@contextlora/scheduler';
import { comparePeers, type PeerResult } from '@contextlora/scheduler/peers';
import type { TaskGraph } from '@contextlora/task-graph';
import { graphWorkloads, type GraphWorkloadSettings } from '@contextlora/workloads';

const boards = ['nano', 'tx2', 'xavier-nx-8', 'orin-nano-4', 'orin-nano-8'];
const settings = {
  rank: 32,
  samples: 16,
  tokens: 128,
  answered: 16,
  steps: 250,
  epochs: 10,
  base: 'f16',
} as const;

export interface BoardPlan {
  readonly cluster: Cluster;
  readonly settings: Omit<GraphWorkloadSettings, 'frozenPrefix'>;
  readonly workloads: readonly Workload[];
  readonly simulated: SimulatedPlan;
  /** The fastest other strategy for the same trained layers, and for plain LoRA in all layers. */
  readonly peers: { readonly frozen: PeerResult | undefined; readonly plain: PeerResult | undefined };
}

/** Plans the graph, and finds the fastest other strategy for the same layers and for plain LoRA. */
export function planForBoards(graph: TaskGraph): BoardPlan {
  const spec = publishedSpec('smollm2-135m')!;
  // The other strategies do not choose power modes, so every board runs in its default mode.
  const cluster = clusterInModes(publishedCluster(boards, { megabitsPerSecond: 50, sharedMedium: true }), {});
  const workloads = graphWorkloads(spec, graph, { ...settings, frozenPrefix: true });
  const simulated = planAndSimulate(workloads, cluster);
  const [frozen] = comparePeers(workloads, cluster);
  const [plain] = comparePeers(graphWorkloads(spec, graph, { ...settings, frozenPrefix: false }), cluster);
  return { cluster, settings, workloads, simulated, peers: { frozen, plain } };
}
