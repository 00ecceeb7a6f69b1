/**
 * The planner: from workloads and a cluster to jobs on lanes with placements, policies, a prediction, a lower bound and an explanation.
 */
import { checkInput } from '../problem/check-input.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import { planCluster } from './plan-cluster.js';
import { checkOptions, type PlanOptions } from './plan-options.js';
import { planWithPower } from './plan-with-power.js';
import type { Plan } from './planned.js';
import { hasPowerChoices } from '../problem/power-modes.js';

/**
 * Plans the training of all workloads.
 *
 * @throws SchedulerError that lists everything wrong with the input, or says by how many bytes the model does not fit and what would help,
 * or by how many joules the most frugal plan found exceeds a limit.
 */
export function plan(workloads: readonly Workload[], cluster: Cluster, options: PlanOptions = {}): Plan {
  checkInput(workloads, cluster);
  checkOptions(options, workloads, cluster);
  return hasPowerChoices(cluster, options.joulesLimit)
    ? planWithPower(workloads, cluster, options)
    : planCluster(workloads, cluster, options);
}
