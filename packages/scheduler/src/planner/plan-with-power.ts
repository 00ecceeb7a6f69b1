/**
 * Plans where devices have power modes to choose from, or watts and joules to keep to.
 *
 * A mode beyond a device's watts is not considered. The others are searched one change at a time, from all devices at their fastest and from
 * all at their most frugal: another mode for a device, another goal for the placement (time, energy, or a weighted sum), or a device left
 * out whose battery does not last. A change stays when the plan gets better: fewer joules above the limits first, then the objective.
 * The search is bounded; where it finds no plan within the limits, one may exist.
 */
import type { Cluster } from '../problem/cluster.js';
import { type Setting, settingsWithin } from '../problem/power-modes.js';
import { meanRate } from '../problem/rates.js';
import { formatJoules } from '../format.js';
import { type InputProblem, problemsError, SchedulerError } from '../scheduler-error.js';
import { effortFor, limits as effort } from '../search/effort.js';
import { type Objective, valueOf } from '../search/interval-problem.js';
import type { Workload } from '../problem/workload.js';
import { intervalsOfPlan, type Plan } from './planned.js';
import type { PlanOptions } from './plan-options.js';
import { planCluster } from './plan-cluster.js';

/** A point of the search: the index of each device's setting, or -1 when it is left out, and the goal of the placements. */
interface Choice {
  readonly settings: readonly number[];
  readonly goal: number;
}

interface Candidate {
  readonly plan: Plan;
  readonly joulesByDevice: ReadonlyMap<string, number>;
  /** Joules above the limit that is exceeded most. */
  readonly excess: number;
  readonly value: number;
}

/** @throws SchedulerError when the model does not fit, or no plan found keeps to the limits */
export function planWithPower(workloads: readonly Workload[], cluster: Cluster, options: PlanOptions): Plan {
  const { objective = 'time', joulesLimit = Infinity } = options;
  const { devices } = cluster;
  const settings = settingsWithin(cluster);
  if (settings.every((offered) => offered.length === 0)) throw noneWithinWatts(cluster);
  const limits = devices.map((device) => device.joulesLimit ?? Infinity);
  const goals: Objective[] = [objective, 'energy'];

  const settingsOf = (choice: Choice['settings']) =>
    settings.map((offered, index) => offered[choice[index]!]);
  const planFor = ({ settings: chosen, goal }: Choice, more: PlanOptions = {}): Candidate => {
    const running = inSettings(cluster, settingsOf(chosen));
    const found = planCluster(workloads, running, { ...options, ...more, objective: goals[goal]! });
    const joulesByDevice = sumJoules(found);
    const joules = found.totalJoules ?? 0;
    const over = devices.map(({ id }, index) => beyond(joulesByDevice.get(id) ?? 0, limits[index]!));
    return {
      plan: found,
      joulesByDevice,
      excess: Math.max(beyond(joules, joulesLimit), ...over),
      value: valueOf(objective, found.totalSeconds, joules),
    };
  };
  // While settings are compared, the peers are not asked and a smaller search will do.
  const { budgetShare, ...exactSizes } = effort.comparing;
  const quick = { peers: [], budget: (options.budget ?? effort.budget) * budgetShare, ...exactSizes };
  const { changesModes } = effortFor(devices.length);
  const known = new Map<string, Candidate | undefined>();
  const evaluate = (choice: Choice): Candidate | undefined => {
    const key = `${choice.goal}|${choice.settings.join()}`;
    if (!known.has(key))
      known.set(
        key,
        choice.settings.some((setting) => setting >= 0) ? attempt(() => planFor(choice, quick)) : undefined,
      );
    return known.get(key);
  };

  const fastest = settings.map((offered) => (offered.length > 0 ? 0 : -1));
  const frugal = settings.map(frugalestOf);
  let best: Choice = { settings: fastest, goal: 0 };
  const first = evaluate(best);
  const { totalSeconds = 0, totalJoules = 0 } = first?.plan ?? {};
  // Weights at which the first plan's seconds and joules count the same, and a factor to each side of that.
  if (totalJoules > 0)
    for (const factor of effort.goalWeights)
      goals.push({ secondsWeight: 1, joulesWeight: (factor * totalSeconds) / totalJoules });
  const improve = (choice: Choice): boolean => {
    if (known.size >= effort.comparedPlans || !isBetter(evaluate(choice), evaluate(best))) return false;
    best = choice;
    return true;
  };
  for (const start of [fastest, frugal]) for (const goal of goals.keys()) improve({ settings: start, goal });
  for (let improved = true; improved;) {
    improved = false;
    for (const [index, offered] of settings.entries()) {
      const mayLeaveOut = offered.length > 0 && Math.min(limits[index]!, joulesLimit) < Infinity;
      for (const setting of [...(changesModes ? offered.keys() : []), ...(mayLeaveOut ? [-1] : [])])
        if (
          improve({
            ...best,
            settings: best.settings.with(index, setting),
          })
        )
          improved = true;
    }
    for (const goal of goals.keys()) if (improve({ ...best, goal })) improved = true;
  }

  const quickly = evaluate(best);
  // Where nothing fits, the planner itself says why.
  const thoroughly = quickly ? attempt(() => planFor(best)) : planFor(best);
  const chosen = isBetter(quickly, thoroughly) ? quickly! : thoroughly!;
  if (chosen.excess > 0) throw tooManyJoules(cluster, options, chosen);
  const lowerBoundSeconds = Math.min(
    chosen.plan.lowerBoundSeconds,
    first?.plan.lowerBoundSeconds ?? Infinity,
  );
  return {
    ...chosen.plan,
    lowerBoundSeconds,
    gap: lowerBoundSeconds > 0 ? chosen.plan.totalSeconds / lowerBoundSeconds - 1 : 0,
    search: 'bounded',
    power: {
      modes: Object.fromEntries(
        settingsOf(best.settings).flatMap((setting) =>
          setting?.mode === undefined ? [] : [[setting.device.id, setting.mode]],
        ),
      ),
      leftOut: devices.flatMap(({ id }, index) =>
        best.settings[index]! >= 0
          ? []
          : [{ device: id, reason: settings[index]!.length === 0 ? 'watts' : 'joules' } as const],
      ),
      joulesByDevice: Object.fromEntries(chosen.joulesByDevice),
      plansCompared: known.size,
    },
  };
}

/** Joules above a limit, but for rounding. */
const beyond = (joules: number, limit: number): number => (joules > limit * (1 + 1e-9) ? joules - limit : 0);

/** The devices in their chosen settings, without those that are left out, and the links among them. */
function inSettings({ links, ...cluster }: Cluster, settings: readonly (Setting | undefined)[]): Cluster {
  const devices = settings.flatMap((setting) => (setting ? [setting.device] : []));
  const used = new Set(['*', ...devices.map(({ id }) => id)]);
  return { ...cluster, devices, links: links.filter(({ from, to }) => used.has(from) && used.has(to)) };
}

/** The setting of least joules per FLOP. */
function frugalestOf(settings: readonly Setting[]): number {
  const joulesPerFlop = settings.map(({ device }) => (device.watts ?? 0) / meanRate(device));
  return joulesPerFlop.indexOf(Math.min(...joulesPerFlop));
}

function sumJoules(plan: Plan): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { joulesByDevice } of intervalsOfPlan(plan))
    for (const [device, joules] of Object.entries(joulesByDevice))
      sums.set(device, (sums.get(device) ?? 0) + joules);
  return sums;
}

/** Fewer joules above the limits first, then the objective; anything before nothing. */
function isBetter(a: Candidate | undefined, b: Candidate | undefined): boolean {
  if (!a || !b) return a !== undefined;
  return a.excess === b.excess ? a.value < b.value * (1 - 1e-9) : a.excess < b.excess;
}

/** Without a device, or with less memory in a mode, the model may not fit; that is not the user's mistake. */
function attempt(make: () => Candidate): Candidate | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof SchedulerError && error.code === 'SCHEDULER_NOTHING_FITS') return undefined;
    throw error;
  }
}

const noneWithinWatts = ({ devices }: Cluster): SchedulerError =>
  problemsError(
    'SCHEDULER_LIMIT_EXCEEDED',
    'plan',
    devices.map(({ modes = [], watts, wattsLimit }, index) => ({
      path: `devices[${index}].wattsLimit`,
      message: `is ${wattsLimit!} W, but the device draws at least ${Math.min(watts ?? Infinity, ...modes.map((mode) => mode.watts ?? watts ?? Infinity))} W in every mode; raise the limit or add a mode`,
    })),
  );

function tooManyJoules(
  { devices }: Cluster,
  { joulesLimit }: PlanOptions,
  { plan, joulesByDevice }: Candidate,
) {
  const problems: InputProblem[] = [];
  if (joulesLimit !== undefined && (plan.totalJoules ?? 0) > joulesLimit)
    problems.push({
      path: 'options.joulesLimit',
      message: `is ${formatJoules(joulesLimit)}, but the most frugal plan found takes ${formatJoules(plan.totalJoules!)}; raise it, train fewer steps, or add a more frugal device`,
    });
  for (const [index, { id, joulesLimit: limit }] of devices.entries()) {
    const joules = joulesByDevice.get(id) ?? 0;
    if (limit !== undefined && joules > limit)
      problems.push({
        path: `devices[${index}].joulesLimit`,
        message: `is ${formatJoules(limit)}, but the most frugal plan found takes ${formatJoules(joules)} of "${id}"; raise it, train fewer steps, or add a device`,
      });
  }
  return problemsError('SCHEDULER_LIMIT_EXCEEDED', 'plan', problems);
}
