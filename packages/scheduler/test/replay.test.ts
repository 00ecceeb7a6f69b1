/** Plans replayed from what they carry, and options that are acted on or refused. */
import { describe, expect, test } from '@jest/globals';
import {
  assessPlacement,
  buildSchedule,
  contextGearAlternating,
  contextGearAt,
  openCostModel,
  plan,
  planAndSimulate,
  policyNamed,
  scheduleOf,
  SchedulerError,
  type Plan,
} from '@contextlora/scheduler';
import { comparePeers, listScheduleTasks } from '@contextlora/scheduler/peers';
import { chain, cluster, device, equalLayers, interval, layer, task } from './problems.js';

const workloads = [task(equalLayers(6, 1, 2), 4, { steps: 3 })];
const on = cluster(3);
const placement = chain([2, 4, 6], 4);

/** The plan with its interval on three devices, under another policy. */
function planUnder(policy: string): Plan {
  const found = plan(workloads, on, { peers: [] });
  const [job] = found.jobs;
  return { ...found, jobs: [{ ...job!, intervals: [{ ...job!.intervals[0]!, placement, policy }] }] };
}

describe('a plan of other depths', () => {
  test.each([
    ['ContextGear/3,2,1', contextGearAt([3, 2, 1])],
    ['ContextGear/1,1,1', contextGearAt([1, 1, 1])],
    ['ContextGear, alternating/4,2,1', contextGearAlternating([4, 2, 1])],
  ])('is replayed under %s as it was made', (name, policy) => {
    expect(policy.name).toBe(name);
    const expected = buildSchedule(openCostModel(workloads, on), [placement], { policy, steps: 2 });
    expect(scheduleOf(planUnder(name), workloads, on, { steps: 2 }).schedule).toEqual(expected);
  });

  test('is none of the package’s under a name that is not', () => {
    for (const name of ['ContextGear/', 'ContextGear/0,1', 'ContextGear/1,', 'ContextGear, odd/1', '1F1B/2'])
      expect(policyNamed(name)).toBeUndefined();
    expect(() => scheduleOf(planUnder('ContextGear, odd/1,1'), workloads, on)).toThrow(/"ContextGear, odd/);
  });

  test('has no time where stages wait for each other for ever, instead of failing', () => {
    const problem = interval(openCostModel(workloads, on));
    const worth = (depths: number[]) =>
      assessPlacement({ ...problem, policies: [contextGearAlternating(depths)] }, placement);
    expect(worth([3, 2, 1])).toBeDefined();
    // The middle stage waits for three forwards, of which the lowest gives only two before it has a gradient.
    expect(worth([2, 3, 1])).toBeUndefined();
  });
});

describe('a keeper that no link reaches', () => {
  test('is named with the way out', () => {
    const island = {
      devices: [device('d0'), device('d1'), device('keeper', { memoryBytes: 1 })],
      links: [{ from: 'd0', to: 'd1', bytesPerSecond: 1, latencySeconds: 0 }],
      keeper: 'keeper',
    };
    const trained = [
      task([layer({ weightFlops: 1, inputFlops: 0, gradientBytes: 2, parameterBytes: 5 })], 1),
    ];
    expect(() => plan(trained, island, { peers: [] })).toThrow(
      /links: every task fits, .* no link joins the keeper "keeper"/,
    );
    const linked = { ...island, links: [...island.links, { ...island.links[0]!, to: 'keeper' }] };
    expect(plan(trained, linked, { peers: [] }).jobs[0]!.collects).toHaveLength(1);
  });
});

describe('an option that is not known or makes no sense', () => {
  const problemsOf = (call: () => unknown): readonly string[] => {
    try {
      call();
    } catch (error) {
      if (error instanceof SchedulerError && error.code === 'SCHEDULER_INPUT_INVALID')
        return error.problems.map(({ path }) => path);
      throw error;
    }
    return [];
  };
  const made = plan(workloads, on, { peers: [] });
  /** As a caller without types would give them. */
  const given = (options: object) => options as never;

  test.each([
    ['plan', (options: object) => plan(workloads, on, given(options)), { recut: true, sibling: false }],
    [
      'planAndSimulate',
      (options: object) => planAndSimulate(workloads, on, given(options)),
      { step: 2, cache: true },
    ],
    [
      'scheduleOf',
      (options: object) => scheduleOf(made, workloads, on, given(options)),
      { index: 0, step: 2 },
    ],
    [
      'comparePeers',
      (options: object) => comparePeers(workloads, on, given(options)),
      { peers: [], caches: true },
    ],
    [
      'listScheduleTasks',
      (options: object) => listScheduleTasks(workloads, on, given(options)),
      { trials: 3, seed: 1 },
    ],
  ])('is refused by %s, all of them at once', (_, call, unknown) => {
    expect(problemsOf(() => call(unknown))).toEqual(Object.keys(unknown).map((key) => `options.${key}`));
    expect(problemsOf(() => call({}))).toEqual([]);
  });

  test('is refused by its value', () => {
    const wrong = { interval: -1, steps: 0, peers: [null], policies: [{}] };
    expect(problemsOf(() => scheduleOf(made, workloads, on, given(wrong)))).toEqual([
      'options.interval',
      'options.steps',
      'options.peers[0]',
      'options.policies[0]',
    ]);
    expect(problemsOf(() => planAndSimulate(workloads, on, { steps: 1.5 }))).toEqual(['options.steps']);
    expect(problemsOf(() => comparePeers(workloads, on, given({ cache: 1 })))).toEqual(['options.cache']);
    expect(() => plan(workloads, on, given({ sibling: false }))).toThrow(/did you mean "siblings"/);
  });
});
