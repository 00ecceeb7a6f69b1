/** A plan from a file of `contextlora plan --json`, or of the demo. */
import { checkInput, type Cluster, type Plan, type Workload } from '@contextlora/scheduler';
import { drawGanttSvg, runChart } from '@contextlora/scheduler/views';
import * as z from 'zod';

import { invalidFile, parseJson } from './parse-json.js';
import type { PlanView } from './run-view.js';

const schema = z.looseObject({
  simulated: z.literal(true),
  cluster: z.looseObject({ devices: z.array(z.unknown()) }),
  plan: z.looseObject({ jobs: z.array(z.unknown()) }),
  workloads: z.array(z.unknown()).optional(),
});

/** @throws DashboardError `DASHBOARD_FILE_INVALID` when it is anything else. */
export function parsePlanView(text: string, path: string): PlanView {
  const wanted = 'a plan as "contextlora plan --json" writes it';
  const read = parseJson(text, { path, schema, wanted });
  const { cluster, plan } = read as unknown as { readonly cluster: Cluster; readonly plan: Plan };
  const workloads = read.workloads as readonly Workload[] | undefined;
  const problem =
    problemOf(() => drawGanttSvg(runChart(plan, cluster))) ??
    (workloads &&
      problemOf(() => {
        checkInput(workloads, cluster);
      }));
  if (problem) throw invalidFile(path, `is not ${wanted} (${problem.message}); plan again`, problem);
  return { cluster, plan, ...(workloads ? { workloads } : {}) };
}

/** A file may have any value anywhere: what can be drawn is a plan. */
function problemOf(work: () => unknown): Error | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
