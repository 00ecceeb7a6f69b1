/** What each peer needs for a whole set of dependent tasks, tuned, on the same devices and by the same simulator. */
import { assignmentOf } from '../planner/candidate-jobs.js';
import { signatureOf } from '../planner/found-intervals.js';
import { intervalsOf } from '../planner/intervals.js';
import { jobOf, levelsOf } from '../planner/jobs.js';
import { chain, type Mode } from '../planner/modes.js';
import { openRun } from '../planner/open-run.js';
import { playRun } from '../planner/play-run.js';
import type { Assignment } from '../planner/run.js';
import { checkPeer } from '../planner/plan-options.js';
import { checkInput } from '../problem/check-input.js';
import { requireOptions } from '../problem/check-options.js';
import { type Check, flag, inputLimits, listOf } from '../problem/check-values.js';
import type { Cluster } from '../problem/cluster.js';
import type { Workload } from '../problem/workload.js';
import type { Assessment, IntervalProblem } from '../search/interval-problem.js';
import { type LowerBound, lowerBound } from '../search/lower-bound.js';
import { peers } from './peers.js';
import { type Strategy, tuneStrategy } from './strategy.js';
import { listScheduleTasks, movedBytes } from './task-parallel.js';

export interface PeerResult {
  readonly strategy: string;
  readonly totalSeconds: number;
  readonly totalBytes: number;
}

export interface ComparePeersOptions {
  /** By default all peers, and task-parallel list scheduling. */
  readonly strategies?: readonly Strategy[];
  /** Whether each is given an activation cache of frozen prefixes after the first epoch, where that helps it. */
  readonly cache?: boolean;
}

export const taskParallelName = 'task-parallel list scheduling';

/**
 * Strategies train one depth of the task graph after the other: its tasks in one pipeline where they can and where that is faster, else
 * one after the other, each with its best settings. What they fetch, answer and hand over is played as for a plan. Fastest first; strategies
 * for which nothing fits are left out.
 *
 * @throws SchedulerError listing everything that is wrong with the workloads, the cluster and the options.
 */
export function comparePeers(
  workloads: readonly Workload[],
  cluster: Cluster,
  options: ComparePeersOptions = {},
): PeerResult[] {
  checkInput(workloads, cluster, 'comparePeers');
  requireOptions(options, 'comparePeers', {
    strategies: listOf(checkPeer, inputLimits.workloads),
    cache: flag,
  } satisfies Record<keyof ComparePeersOptions, Check>);
  const { strategies, cache = false } = options;
  const opened = openRun(workloads, cluster, { cache, peers: [] });
  const questions = new Map<string, readonly Question[]>();
  const results = (strategies ?? peers).map((strategy) => runStrategy(strategy, opened, questions));
  const apart = strategies ? undefined : listScheduleTasks(workloads, cluster, { cache });
  if (apart) {
    const { totalSeconds, totalBytes } = apart;
    results.push({ strategy: taskParallelName, totalSeconds, totalBytes });
  }
  return results.filter((result) => result !== undefined).sort((a, b) => a.totalSeconds - b.totalSeconds);
}

/** An interval, and what is the same for intervals that differ in names alone. */
interface Question {
  readonly problem: IntervalProblem;
  readonly signature: string;
  readonly bound: LowerBound;
}

/** @param questions of jobs that were asked about before, in which what is found about stages is remembered */
function runStrategy(
  strategy: Strategy,
  { run, lanes }: ReturnType<typeof openRun>,
  questions: Map<string, readonly Question[]>,
): PeerResult | undefined {
  const { graph } = run;
  /** Tasks of equal costs are tuned once. */
  const tuned = new Map<string, Assessment | undefined>();
  const tune = ({ problem, signature }: Question): Assessment | undefined => {
    if (!tuned.has(signature)) tuned.set(signature, tuneStrategy(strategy, problem, { thorough: true }));
    const found = tuned.get(signature);
    return found && { ...found, placement: { ...found.placement, tasks: problem.tasks } };
  };
  const questionsOf = (tasks: readonly number[], useCache: boolean): readonly Question[] => {
    const key = `${useCache} ${tasks.join()}`;
    let asked = questions.get(key);
    if (!asked) {
      const workloads = tasks.map((task) => graph.workloads[task]!);
      asked = intervalsOf(workloads, lanes.opened, lanes.settings, useCache).map((problem) => ({
        problem,
        signature: signatureOf(problem),
        bound: lowerBound(problem),
      }));
      questions.set(key, asked);
    }
    return asked;
  };
  const modeOf = (tasks: readonly number[], useCache: boolean): Mode | undefined => {
    const asked = questionsOf(tasks, useCache);
    const found = asked.map(tune);
    return chain(
      lanes,
      // In the peer's order, should a placement serve its neighbour too.
      asked.map(({ problem }, index) => ({
        ...problem,
        policies: found[index] ? [found[index].policy] : [],
      })),
      asked.map(({ bound }, index) => ({
        found: found[index] ? [{ ...found[index], strategy: strategy.name }] : [],
        search: 'bounded',
        bound,
      })),
      { set: [...lanes.opened.devices.keys()], look: 'peers' },
    );
  };
  const train = (tasks: readonly number[]): Assignment | undefined => {
    const caching = lanes.cache && tasks.some((task) => (graph.workloads[task]!.epochs ?? 1) > 1);
    const [mode] = (caching ? [false, true] : [false])
      .flatMap((useCache) => modeOf(tasks, useCache) ?? [])
      .sort((a, b) => a.seconds - b.seconds);
    return mode && assignmentOf(run, jobOf(graph, tasks), mode);
  };
  const secondsOf = (parts: readonly (Assignment | undefined)[]) =>
    parts.reduce((sum, part) => sum + (part?.seconds ?? Infinity), 0);
  const order = levelsOf(graph).flatMap((tasks) => {
    const apart = tasks.map((task) => train([task]));
    const together = strategy.interleavesTasks && tasks.length > 1 ? [train(tasks)] : apart;
    return secondsOf(together) < secondsOf(apart) ? together : apart;
  });
  const played = order.every((one) => one !== undefined) ? playRun(run, order, 'time', false) : undefined;
  if (!played) return undefined;
  const sent = played.jobs
    .flatMap(({ assignment }) => assignment.mode.intervals)
    .reduce((sum, { assessment, problem }) => sum + assessment.bytesPerStep * problem.steps, 0);
  return {
    strategy: strategy.name,
    totalSeconds: played.totalSeconds,
    totalBytes: sent + movedBytes(played),
  };
}
