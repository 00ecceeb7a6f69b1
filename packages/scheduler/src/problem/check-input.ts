/** Checks workloads and clusters, which come from files and other people's code, and lists everything that is wrong. */
import { type InputProblem, problemsError } from '../scheduler-error.js';
import { checkCluster } from './check-cluster.js';
import { checkWorkloads } from './check-workloads.js';

/** @throws SchedulerError that lists every problem of the workloads and the cluster. */
export function checkInput(workloads: unknown, cluster: unknown, where = 'plan'): void {
  const problems: InputProblem[] = [];
  checkWorkloads(workloads, problems);
  checkCluster(cluster, problems);
  if (problems.length > 0) throw problemsError('SCHEDULER_INPUT_INVALID', where, problems);
}
