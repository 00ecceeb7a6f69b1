/** Whether the model can fit at all; if not, by how many bytes and what would help. */
import { usableCluster } from '../problem/cluster.js';
import { type ClusterCosts, openCluster } from '../cost/cluster-costs.js';
import type { CostModel } from '../cost/cost-model.js';
import { activationBytes, layerStates } from '../cost/memory.js';
import { formatBytes } from '../format.js';
import { type InputProblem, problemsError } from '../scheduler-error.js';
import { limits } from '../search/effort.js';
import type { CandidateJobs, Run } from './run.js';
import { deviceSets } from './device-sets.js';
import { modesOf } from './modes.js';
import type { LaneSearch } from './found-intervals.js';
import type { Workload } from '../problem/workload.js';

/** @throws SchedulerError when a layer fits on no device, or the layers do not fit on all devices together. */
function requireFeasible(
  workloads: readonly Workload[],
  { taskNamed, layerCount, devices }: CostModel,
): void {
  const problems: InputProblem[] = [];
  const largest = devices.reduce((a, b) => (b.memoryBytes > a.memoryBytes ? b : a));
  const together = devices.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  for (const [index, workload] of workloads.entries()) {
    const task = taskNamed(workload.name);
    let total = 0;
    let worst = { bytes: 0, layer: 0 };
    for (const [layer, { parameterBytes, optimizerBytes }] of layerStates([task], layerCount).entries()) {
      total += parameterBytes + optimizerBytes;
      const kept = activationBytes(task, { start: layer, end: layer + 1 }, 1);
      const bytes = parameterBytes + optimizerBytes + kept;
      if (bytes > worst.bytes) worst = { bytes, layer };
    }
    if (worst.bytes > largest.memoryBytes)
      problems.push({
        path: `workloads[${index}].layers[${worst.layer}]`,
        message:
          `"${workload.layers[worst.layer]!.name}" needs ${formatBytes(worst.bytes)} with one sample, ` +
          `${formatBytes(worst.bytes - largest.memoryBytes)} more than the largest device, "${largest.id}", has; ` +
          `give a device at least ${formatBytes(worst.bytes)}, split the layer, or shorten the samples`,
      });
    else if (total > together)
      problems.push({
        path: `workloads[${index}]`,
        message:
          `"${workload.name}" needs ${formatBytes(total)} for parameters and optimizer, ` +
          `${formatBytes(total - together)} more than all ${devices.length} devices have together; ` +
          `add a device with that much memory, or keep the base weights in a smaller format`,
      });
  }
  if (problems.length > 0) throw problemsError('SCHEDULER_NOTHING_FITS', 'plan', problems);
}

/**
 * @throws SchedulerError that names every task for which the search found no placement, and the memory that would be enough, or the devices
 * that do not reach each other.
 */
export function requireFound(
  { single }: CandidateJobs,
  workloads: readonly Workload[],
  { costs }: Run,
  search: LaneSearch,
): void {
  const names = single.flatMap(({ job: { tasks }, choices }) =>
    choices.length === 0 ? [costs.tasks[tasks[0]!]!.name] : [],
  );
  if (names.length === 0) return;
  // Peers that split layers may have placed what no stage of whole layers holds, so this is asked only now.
  requireFeasible(workloads, costs);
  const { cluster } = search.opened;
  const lost = [...workloads.keys()].filter((index) => names.includes(workloads[index]!.name));
  const fits = (workload: Workload, factor: number) => {
    const opened = openCluster(usableCluster(cluster, 1 - factor));
    const larger: LaneSearch = {
      ...search,
      opened,
      holders: { ...search.holders, routes: opened.routes },
      options: { ...search.options, ...limits.fitting },
      peers: [],
      memory: new Map(),
      clusters: new Map(),
    };
    return modesOf(larger, [[workload]], deviceSets(opened, 1)).length > 0;
  };
  const apart = unreachablePairs(search.opened);
  const problems = lost.map((index): InputProblem => {
    const workload = workloads[index]!;
    const factor = limits.memoryFactors.find((candidate) => fits(workload, candidate));
    const largest = Math.max(...cluster.devices.map(({ memoryBytes }) => memoryBytes));
    return {
      path: `workloads[${index}]`,
      message:
        `"${workload.name}" fits on no placement: a range of layers needs its parameters, its optimizer state, one micro-batch's ` +
        `activations and its messages on one device. ` +
        (apart === undefined ? '' : `${apart}; a link between them may be all that is missing. `) +
        (factor === undefined
          ? 'More memory alone does not help'
          : `It fits with ${factor} times the memory on every device ` +
            `(${formatBytes(largest * (factor - 1))} more on the largest), or with more devices or more micro-batches`),
    };
  });
  throw problemsError('SCHEDULER_NOTHING_FITS', 'plan', problems);
}

/** Devices between which no link leads, in words. */
function unreachablePairs({ devices, routes }: ClusterCosts): string | undefined {
  const lonely = devices.filter((_, from) =>
    devices.every((__, to) => from === to || (!routes.route(from, to) && !routes.route(to, from))),
  );
  if (devices.length > 1 && lonely.length > 0)
    return `No link leads to ${lonely.map(({ id }) => `"${id}"`).join(', ')}`;
  for (const [from, { id }] of devices.entries())
    for (const [to, other] of devices.entries())
      if (from < to && !routes.route(from, to)) return `No link leads from "${id}" to "${other.id}"`;
  return undefined;
}
