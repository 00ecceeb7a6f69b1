/** Whether the model can fit at all; if not, by how many bytes and what would help. */
import { type Cluster, usableCluster } from '../problem/cluster.js';
import { openCluster } from '../cost/cluster-costs.js';
import type { CostModel } from '../cost/cost-model.js';
import { activationBytes, layerStates } from '../cost/memory.js';
import { formatBytes } from '../format.js';
import { type InputProblem, problemsError } from '../scheduler-error.js';
import { limits } from '../search/effort.js';
import { searchWave, type WaveSearch, type WaveArrangement } from './search-wave.js';
import type { Workload } from '../problem/workload.js';

/** @throws SchedulerError when a layer fits on no device, or the layers do not fit on all devices together. */
export function requireFeasible(
  workloads: readonly Workload[],
  { tasks, layerCount, devices }: CostModel,
): void {
  const problems: InputProblem[] = [];
  const largest = devices.reduce((a, b) => (b.memoryBytes > a.memoryBytes ? b : a));
  const together = devices.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  for (const [index, workload] of workloads.entries()) {
    const task = tasks[index]!;
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
 * @throws SchedulerError that names every task for which the search found no placement, and the memory that would be enough where more
 * memory helps at all.
 */
export function requireFound(
  arrangements: readonly (readonly WaveArrangement[])[],
  workloads: readonly Workload[],
  cluster: Cluster,
  search: WaveSearch,
): void {
  if (arrangements.every((arrangement) => arrangement.length > 0)) return;
  const fits = (workload: Workload, factor: number) => {
    const larger: WaveSearch = {
      ...search,
      opened: openCluster(usableCluster(cluster, 1 - factor)),
      options: { ...search.options, ...limits.fitting },
      peers: [],
      memory: new Map(),
    };
    return searchWave(larger, [workload]).length > 0;
  };
  const problems = workloads.flatMap((workload, index): InputProblem[] => {
    if (fits(workload, 1)) return [];
    const factor = limits.memoryFactors.find((candidate) => fits(workload, candidate));
    const largest = Math.max(...cluster.devices.map(({ memoryBytes }) => memoryBytes));
    return [
      {
        path: `workloads[${index}]`,
        message:
          `"${workload.name}" fits on no placement: a range of layers needs its parameters, its optimizer state, one micro-batch's ` +
          `activations and its messages on one device. ` +
          (factor === undefined
            ? 'More memory alone does not help; see whether the devices reach each other'
            : `It fits with ${factor} times the memory on every device ` +
              `(${formatBytes(largest * (factor - 1))} more on the largest), or with more devices or more micro-batches`),
      },
    ];
  });
  throw problemsError(
    'SCHEDULER_NOTHING_FITS',
    'plan',
    problems.length > 0
      ? problems
      : [{ path: 'workloads', message: 'no placement holds all tasks of a wave' }],
  );
}
