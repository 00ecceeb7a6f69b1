/** What the page asks of its planning worker, and what that answers. */
import type { Plan, Workload } from '@contextlora/scheduler';
import type { Cluster } from '@contextlora/scheduler';

export interface PlanQuestion {
  readonly workloads: readonly Workload[];
  readonly cluster: Cluster;
  /** As in `contextlora plan --what-if`; empty to plan the cluster as it is. */
  readonly changes: string;
}

export type PlanAnswer = { readonly cluster: Cluster; readonly plan: Plan } | { readonly problem: string };
