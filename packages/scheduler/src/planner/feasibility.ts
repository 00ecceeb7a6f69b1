/** Says, before anything is searched, whether the model can fit at all, and if not by how many bytes and what would help. */
import { type Cluster, usableCluster } from '../problem/cluster.js';
import { openCluster } from '../cost/cost-model.js';
import { formatBytes } from '../format.js';
import { type InputProblem, SchedulerInputError } from '../scheduler-error.js';
import { searchWave, type WaveSearch, type WaveWay } from './search-wave.js';
import { lowestTrainedLayer, type Workload } from '../problem/workload.js';

/** @throws SchedulerInputError when a layer fits on no device, or the layers do not fit on all devices together. */
export function requireFeasible(workloads: readonly Workload[], { devices }: Cluster): void {
  const problems: InputProblem[] = [];
  const largest = devices.reduce((a, b) => (b.memoryBytes > a.memoryBytes ? b : a));
  const together = devices.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  for (const [index, workload] of workloads.entries()) {
    const lowest = lowestTrainedLayer(workload);
    let total = 0;
    let worst = { bytes: 0, layer: 0 };
    for (const [layer, one] of workload.layers.entries()) {
      const resident = one.parameterBytes + one.optimizerBytes;
      total += resident;
      // One sample in flight, and the messages of one sample on each side.
      const needed = resident + (layer < lowest ? 0 : one.activationBytes);
      if (needed > worst.bytes) worst = { bytes: needed, layer };
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
  if (problems.length > 0) throw new SchedulerInputError('plan', problems);
}

/** Memory factors that are tried to say what would help. */
const factors = [1.1, 1.25, 1.5, 2, 3, 4, 8, 16];

/**
 * @throws SchedulerInputError for every task for which the search found no placement, with the memory that would do where more memory
 * helps at all.
 */
export function requireFound(
  ways: readonly (readonly WaveWay[])[],
  workloads: readonly Workload[],
  cluster: Cluster,
  search: WaveSearch,
): void {
  if (ways.every((one) => one.length > 0)) return;
  const fits = (workload: Workload, factor: number) => {
    const larger: WaveSearch = {
      ...search,
      opened: openCluster(usableCluster(cluster, 1 - factor)),
      options: { ...search.options, budget: 20_000, exactDevices: 4 },
      peers: [],
      memory: new Map(),
    };
    return searchWave(larger, [workload]).length > 0;
  };
  const problems = workloads.flatMap((workload, index): InputProblem[] => {
    if (fits(workload, 1)) return [];
    const factor = factors.find((one) => fits(workload, one));
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
  throw new SchedulerInputError(
    'plan',
    problems.length > 0
      ? problems
      : [{ path: 'workloads', message: 'no placement holds all tasks of a wave' }],
  );
}
