/** The best order of a placement's work over every depth: how many micro-batches each stage has in flight. */
import { hasBackward } from '../cost/task-costs.js';
import type { Placement } from '../schedule/placement.js';
import { contextGearAlternating, contextGearAt } from '../schedule/policies/context-gear.js';
import type { ComputeStep, Policy } from '../schedule/policies/policy.js';
import { assessPlacement } from './assess-placement.js';
import type { Assessment, IntervalProblem } from './interval-problem.js';

/** Depths as limits, and what was reached under them: every limit between the two gives the same order. */
interface Tried {
  readonly limits: readonly number[];
  readonly reached: readonly number[];
}

/**
 * The best assessment over the problem's policies and every depth, if it is better than `incumbent`.
 *
 * @param bound no order of the placement is better; when one is as good the others are not tried
 * @param spend is told of every simulation; false stops
 */
export function assessEveryOrder(
  problem: IntervalProblem,
  placement: Placement,
  { incumbent, bound, spend }: { incumbent: number; bound: number; spend: () => boolean },
): Assessment | undefined {
  let best: Assessment | undefined;
  const mark = () => best?.value ?? incumbent;
  const tryPolicies = (policies: readonly Policy[]) => {
    const found = assessPlacement({ ...problem, policies }, placement);
    if (found && found.value < mark()) best = found;
    return found;
  };
  const settled = () => bound >= mark() || !spend();
  if (settled() || !tryPolicies(problem.policies)) return undefined;

  const tasks = placement.tasks.map(problem.costs.taskNamed);
  const { stages, microbatches } = placement;
  // A stage that owes no backward pass holds nothing; the last has its gradient at once.
  const free = stages.map(
    ({ end }, index) => index + 1 < stages.length && tasks.some((task) => hasBackward(task, end)),
  );
  if (!free.includes(true)) return best;
  const most = microbatches * tasks.length;
  const tried: Tried[] = [];
  for (const depths of countDown(free.map((isFree) => (isFree ? most : 1)))) {
    if (tried.some((one) => depths.every((depth, s) => depth <= one.limits[s]! && depth >= one.reached[s]!)))
      continue;
    if (settled()) return best;
    const policy = contextGearAt(depths);
    let reached: readonly number[] = depths;
    const found = tryPolicies([
      {
        ...policy,
        order(context) {
          const order = policy.order(context);
          reached = order.map((members, s) => (free[s] ? Math.max(...members.map(mostInFlight)) : 1));
          return order;
        },
      },
    ]);
    if (found && best === found) best = { ...found, policy };
    tried.push({ limits: depths, reached });
  }
  if (tasks.length > 1) return best;
  for (const depths of countDown(free.map((isFree) => (isFree ? microbatches : 1)))) {
    // A stage that waits for more forwards than the one below gives it would wait for ever.
    if (depths.some((depth, s) => free[s - 1] && depth > depths[s - 1]!)) continue;
    if (settled()) return best;
    tryPolicies([contextGearAlternating(depths)]);
  }
  return best;
}

/** Every list of whole numbers from 1 to these, the largest first. */
function* countDown(most: readonly number[]): Generator<number[]> {
  const now = [...most];
  for (;;) {
    yield [...now];
    let at = now.length - 1;
    while (at >= 0 && now[at] === 1) {
      now[at] = most[at]!;
      at -= 1;
    }
    if (at < 0) return;
    now[at]! -= 1;
  }
}

/** Forwards whose backward pass has not come, at the fullest moment; forwards of tasks that owe none are not counted. */
function mostInFlight(order: readonly ComputeStep[]): number {
  const owed = new Set(order.filter(({ type }) => type === 'backwardInput').map(({ task }) => task));
  let held = 0;
  let most = 1;
  for (const { type, task } of order) {
    if (!owed.has(task) || type === 'backwardWeight') continue;
    held += type === 'forward' ? 1 : -1;
    most = Math.max(most, held);
  }
  return most;
}
