/** Plans away from the page, which stays responsive, and can be ended while it plans. */
import { applyWhatIf, plan } from '@contextlora/scheduler';

import type { PlanAnswer, PlanQuestion } from './plan-question.js';

function answer({ workloads, cluster, changes }: PlanQuestion): PlanAnswer {
  try {
    const changed = changes === '' ? cluster : applyWhatIf(cluster, changes);
    return { cluster: changed, plan: plan(workloads, changed) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

addEventListener('message', ({ data }: MessageEvent<PlanQuestion>) => {
  postMessage(answer(data));
});
