/**
 * Plays a whole run: jobs start when their predecessors have ended and their devices are free, and all that is under way shares the air.
 *
 * An activity that alone has a share u of a medium's air takes longer where others have shares U − u of it, by
 *
 *   max(U, 1 + d · (U − u))
 *
 * with the delay d that the simulator finds on air of half the rate, 1 for a transfer: at least by the air's whole load. Transfers over one
 * link share it alike.
 */
import { valueOf, type Objective } from '../search/interval-problem.js';
import { collectsOf, fetchesOf } from './fetches.js';
import type { Answer, Assignment, Run } from './run.js';
import type { Transfer } from './transfers.js';

interface Timed<T> {
  readonly what: T;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

export interface PlayedJob {
  readonly assignment: Assignment;
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly transfers: readonly Timed<Transfer>[];
  readonly answers: readonly Timed<Answer>[];
  /** By the mode's intervals. */
  readonly intervals: readonly Timed<number>[];
  readonly collects: readonly Timed<Transfer>[];
  /** Position of the job that it last waited for; undefined when it started at once. */
  readonly after: number | undefined;
}

export interface PlayedRun {
  readonly totalSeconds: number;
  readonly value: number;
  /** In the order of the list. */
  readonly jobs: readonly PlayedJob[];
}

/** Something under way, or still to come. */
interface Activity {
  readonly position: number;
  readonly done: (startSeconds: number, endSeconds: number) => void;
  /** The delay d above. */
  readonly delay: () => number;
  /** Resource and share of it, in turn. */
  readonly loads: readonly (readonly [resource: number, share: number])[];
  startSeconds: number;
  left: number;
}

type Upcoming = Pick<Activity, 'done' | 'delay' | 'loads' | 'left'>;

/**
 * Undefined where something must be fetched to which no link leads.
 *
 * Undefined, too, once it takes as long as `most` seconds.
 *
 * @param siblings whether jobs may run at the same time
 */
export function playRun(
  run: Run,
  order: readonly Assignment[],
  objective: Objective,
  siblings = true,
  most = Infinity,
): PlayedRun | undefined {
  const { holders, graph } = run;
  const fetches = fetchesOf(run, order);
  if (!fetches) return undefined;
  const mediaCount = holders.routes.media.length;
  const deviceCount = run.costs.devices.length;
  const records = order.map(() => ({
    transfers: [] as Timed<Transfer>[],
    answers: [] as Timed<Answer>[],
    intervals: [] as Timed<number>[],
    collects: [] as Timed<Transfer>[],
    startSeconds: 0,
    endSeconds: 0,
    after: undefined as number | undefined,
  }));
  const moving = (transfers: readonly Transfer[], into: Timed<Transfer>[]): Upcoming[] =>
    transfers.map((what) => {
      const { medium, bytesPerSecond, latencySeconds } = holders.routes.route(what.from, what.to)!;
      return {
        left: what.bytes / bytesPerSecond + latencySeconds,
        delay: () => 1,
        loads: [[medium >= 0 ? medium : mediaCount + what.from * deviceCount + what.to, 1]],
        done: (startSeconds, endSeconds) => into.push({ what, startSeconds, endSeconds }),
      };
    });
  const phases: Upcoming[][][] = [];
  const collects: Upcoming[][] = [];
  for (const [position, assignment] of order.entries()) {
    const record = records[position]!;
    const answering = assignment.answers.map((what): [Answer, Upcoming[]] => [
      what,
      [
        {
          left: what.seconds,
          delay: () => 0,
          loads: [],
          done: (startSeconds, endSeconds) => record.answers.push({ what, startSeconds, endSeconds }),
        },
      ],
    ]);
    const answersFor = (reason: Answer['reason']) =>
      answering.filter(([what]) => what.reason === reason).map(([, plans]) => plans);
    const training = assignment.mode.intervals.flatMap(
      ({ assessment, transfers, airShares, airDelay }, index): Upcoming[][] => [
        moving(transfers, record.transfers),
        [
          {
            left: assessment.totalSeconds,
            delay: airDelay,
            loads: airShares.flatMap((share, medium) => (share > 0 ? [[medium, share] as const] : [])),
            done: (startSeconds, endSeconds) =>
              record.intervals.push({ what: index, startSeconds, endSeconds }),
          },
        ],
      ],
    );
    phases.push([
      moving(
        fetches[position]!.filter(({ what }) => what !== 'segment'),
        record.transfers,
      ),
      ...answersFor('prompts'),
      ...training,
      ...answersFor('validation'),
    ]);
    const collected = collectsOf(run, assignment);
    if (!collected) return undefined;
    collects.push(moving(collected, record.collects));
  }

  const positionOf = new Map(order.flatMap(({ job }, position) => job.tasks.map((task) => [task, position])));
  /** Ancestors' segments, on their way as soon as these have ended, whatever the devices do meanwhile: by the ancestor's position. */
  const ahead = order.map((): { readonly to: number; readonly plan: Upcoming }[] => []);
  const fetching = order.map(() => 0);
  const lastOn = new Int32Array(deviceCount).fill(-1);
  const waiting = order.map(({ job, mode }, position) => {
    const blockers = new Set<number>();
    for (const task of job.tasks)
      for (const parent of graph.parents[task]!) blockers.add(positionOf.get(parent)!);
    for (const device of mode.devices) {
      if (lastOn[device]! >= 0) blockers.add(lastOn[device]!);
      lastOn[device] = position;
    }
    if (!siblings && position > 0) blockers.add(position - 1);
    const segments = fetches[position]!.filter(({ what }) => what === 'segment');
    for (const [index, plan] of moving(segments, records[position]!.transfers).entries()) {
      const { tasks } = segments[index]!;
      ahead[positionOf.get(run.costs.taskIndex(tasks[0]!))!]!.push({ to: position, plan });
    }
    fetching[position] = segments.length;
    return blockers;
  });
  let active: Activity[] = [];
  const pending = order.map(() => 0);
  const atPhase = order.map(() => 0);
  let now = 0;
  const enter = (position: number): void => {
    const todo = phases[position]!;
    while (atPhase[position]! < todo.length) {
      const plans = todo[atPhase[position]!++]!;
      if (plans.length === 0) continue;
      pending[position] = plans.length;
      for (const plan of plans) active.push({ ...plan, position, startSeconds: now });
      return;
    }
    records[position]!.endSeconds = now;
    pending[position] = -1;
    for (const plan of collects[position]!) active.push({ ...plan, position, startSeconds: now });
    for (const { to, plan } of ahead[position]!)
      active.push({
        ...plan,
        position: -1,
        startSeconds: now,
        done: (startSeconds, endSeconds) => {
          plan.done(startSeconds, endSeconds);
          fetching[to]! -= 1;
          begin(to, position);
        },
      });
    for (const [later, blockers] of waiting.entries()) if (blockers.delete(position)) begin(later, position);
  };
  const begin = (position: number, after: number): void => {
    if (waiting[position]!.size > 0 || fetching[position]! > 0) return;
    records[position]!.startSeconds = now;
    records[position]!.after = after;
    enter(position);
  };
  const first = [...waiting.keys()].filter((position) => waiting[position]!.size === 0);
  for (const position of first) enter(position);
  while (active.length > 0) {
    const load = new Map<number, number>();
    for (const { loads } of active)
      for (const [resource, share] of loads) load.set(resource, (load.get(resource) ?? 0) + share);
    let next = Infinity;
    const slowdowns = active.map(({ loads, delay, left }) => {
      let slowdown = 1;
      for (const [resource, share] of loads) {
        const all = load.get(resource)!;
        slowdown = Math.max(slowdown, all, all > share ? 1 + delay() * (all - share) : 1);
      }
      next = Math.min(next, left * slowdown);
      return slowdown;
    });
    now += next;
    if (now >= most) return undefined;
    const ended: Activity[] = [];
    const still: Activity[] = [];
    for (const [index, activity] of active.entries()) {
      const rest = activity.left * slowdowns[index]!;
      if (rest <= next * (1 + 1e-12)) ended.push(activity);
      else {
        activity.left -= next / slowdowns[index]!;
        still.push(activity);
      }
    }
    active = still;
    for (const { position, done, startSeconds } of ended) {
      done(startSeconds, now);
      if (position >= 0 && pending[position]! > 0 && (pending[position]! -= 1) < 1) enter(position);
    }
  }
  const joules = order.reduce((sum, { mode }) => sum + mode.joules, 0);
  return {
    totalSeconds: now,
    value: valueOf(objective, now, joules),
    jobs: records.map((record, position) => ({ ...record, assignment: order[position]! })),
  };
}
