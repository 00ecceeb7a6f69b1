/** Says, before anything is searched, whether the model can fit at all, and if not by how many bytes and what would help. */
import type { Cluster } from '../cluster.js';
import { formatBytes } from '../format.js';
import { type InputProblem, SchedulerInputError } from '../scheduler-input-error.js';
import { lowestTrainedLayer, type Workload } from '../workload.js';

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
