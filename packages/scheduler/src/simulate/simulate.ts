/**
 * Plays a schedule through: deterministic discrete events on a virtual clock.
 *
 * A device runs its program in order. Computing takes time; a send only starts a transfer, unless its channel has no room; a receive
 * waits for its message. Computing and transferring overlap.
 */
import type { Schedule } from '../schedule/build-schedule.js';
import type { Cluster } from '../problem/cluster.js';
import { collectiveCost, type CostModel, durationOf, messageBytes, openCostModel } from '../cost/cost-model.js';
import { createEventQueue } from './event-queue.js';
import type { CollectiveInstruction, Instruction, TransferInstruction } from '../schedule/instruction.js';
import { memoryOf } from '../schedule/memory-of.js';
import { createNetwork, type Message, type Transfer } from './network.js';
import { createRandom } from './random.js';
import type { DeviceUse, IdleCause, Span, Timeline } from './timeline.js';
import type { Workload } from '../problem/workload.js';

export interface SimulateOptions {
  /** Keep every span; takes memory in large simulations. */
  readonly spans?: boolean;
  /** Every duration is multiplied by a factor drawn from [1 − jitter, 1 + jitter]. */
  readonly jitter?: number;
  readonly seed?: number;
  /** Devices that stop for good, and when. */
  readonly losses?: readonly { readonly device: string; readonly atSeconds: number }[];
}

/** @throws Error when the schedule names a device, task or link the problem does not have, or when it can never end. */
export function simulate(
  schedule: Schedule,
  workloads: readonly Workload[],
  cluster: Cluster,
  options: SimulateOptions = {},
): Timeline {
  return simulateWith(openCostModel(workloads, cluster), schedule, options);
}

interface Delivery extends Message {
  readonly program: number;
  readonly key: number;
  readonly instruction: TransferInstruction;
}

/** An exchange of a group: it starts when the last member has come. */
interface Meeting {
  readonly instruction: CollectiveInstruction;
  readonly members: readonly number[];
  arrivals: number;
  done: boolean;
  startSeconds: number;
  latencySeconds: number;
}

interface Runner {
  readonly device: string;
  readonly owner: number;
  readonly placement: number;
  readonly instructions: readonly Instruction[];
  readonly stage: { readonly start: number; readonly end: number; readonly work: number };
  readonly lostAt: number;
  at: number;
  busySeconds: number;
  sentBytes: number;
  finishedSeconds: number | undefined;
  waiting: { readonly since: number; readonly cause: IdleCause } | undefined;
  /** The exchange it stands in. */
  blockedOn: Meeting | undefined;
  readonly idleSeconds: Record<IdleCause, number>;
}

const kinds = ['linkDone', 'airDone', 'arrives', 'ready', 'collectiveDone'] as const;

/** As `simulate`, for callers that ask many questions of one problem. */
export function simulateWith(
  costs: CostModel,
  schedule: Schedule,
  { spans: keepSpans = true, jitter = 0, seed = 0, losses = [] }: SimulateOptions = {},
): Timeline {
  const random = createRandom(seed);
  const vary = (seconds: number) => (jitter > 0 ? seconds * (1 + jitter * (2 * random() - 1)) : seconds);
  const deviceCount = costs.devices.length;
  const runners = schedule.programs.map(({ device, placement, stage, instructions }): Runner => {
    const { start, end, members } = schedule.placements[placement]!.stages[stage]!;
    const { work = 1 } = members.find((member) => member.device === device)!;
    return {
      device,
      owner: costs.deviceIndex(device),
      placement,
      instructions,
      stage: { start, end, work },
      lostAt: losses.find((loss) => loss.device === device)?.atSeconds ?? Infinity,
      at: 0,
      busySeconds: 0,
      sentBytes: 0,
      finishedSeconds: undefined,
      waiting: undefined,
      blockedOn: undefined,
      idleSeconds: { activation: 0, gradient: 0, backpressure: 0, collective: 0, finished: 0, lost: 0 },
    };
  });
  const runnerOf = new Map(runners.map((runner, index) => [runner.owner, index]));
  const largest = Math.max(1, ...schedule.placements.map(({ microbatches }) => microbatches));
  const stepEndSeconds = schedule.placements.map(() => new Array<number>(schedule.steps).fill(0));
  const linkBytes = new Map<number, number>();
  const spans: Span[] = [];
  let makespan = 0;
  const note = ({ placement }: Runner, step: number, at: number) => {
    makespan = Math.max(makespan, at);
    const ends = stepEndSeconds[placement]!;
    ends[step] = Math.max(ends[step]!, at);
  };
  const count = (from: number, to: number, bytes: number) => {
    const key = from * deviceCount + to;
    linkBytes.set(key, (linkBytes.get(key) ?? 0) + bytes);
  };

  const queue = createEventQueue();
  const post = (time: number, kind: (typeof kinds)[number], index: number) => {
    queue.push(time, index * kinds.length + kinds.indexOf(kind));
  };
  const arrived = new Map<number, number>();
  const network = createNetwork<Delivery>(costs, {
    window: schedule.window,
    post,
    vary,
    ...(keepSpans ? { onSent: keepTransfer } : {}),
    onArrival({ message: { program, key, to }, channel }, now) {
      arrived.set(key, channel);
      wake(runners[program]!, now);
      const receiver = runnerOf.get(to);
      if (receiver !== undefined) wake(runners[receiver]!, now);
    },
    airborne: (id, now) => {
      post(now + meetings[id]!.latencySeconds, 'collectiveDone', id);
    },
  });
  function keepTransfer({ message, startSeconds }: Transfer<Delivery>, now: number) {
    const { instruction, program, bytes } = message;
    const { device } = runners[program]!;
    spans.push({ ...spanOf(device, instruction, startSeconds, now), peer: instruction.peer, bytes });
  }
  const wake = (runner: Runner, now: number) => {
    if (runner.waiting) advance(runner, now);
  };

  /** The same number for a send and the receive it meets. */
  const messageKey = (gradient: boolean, one: TransferInstruction, from: number, to: number) =>
    (((((gradient ? 1 : 0) * costs.tasks.length + costs.taskIndex(one.task)) * schedule.steps + one.step) *
      largest +
      one.microbatch) *
      deviceCount +
      from) *
      deviceCount +
    to;
  const send = (runner: Runner, instruction: TransferInstruction, now: number): boolean => {
    const to = costs.deviceIndex(instruction.peer);
    const gradient = instruction.type === 'sendGradient';
    const task = costs.tasks[costs.taskIndex(instruction.task)]!;
    const bytes = messageBytes(task, instruction, runner.stage);
    const taken = network.send(
      {
        gradient,
        from: runner.owner,
        to,
        bytes,
        program: runnerOf.get(runner.owner)!,
        key: messageKey(gradient, instruction, runner.owner, to),
        instruction,
      },
      now,
    );
    if (!taken) return false;
    runner.sentBytes += bytes;
    count(runner.owner, to, bytes);
    return true;
  };
  const receive = (runner: Runner, instruction: TransferInstruction, now: number): boolean => {
    const from = costs.deviceIndex(instruction.peer);
    const key = messageKey(instruction.type === 'receiveGradient', instruction, from, runner.owner);
    const channel = arrived.get(key);
    if (channel === undefined) return false;
    arrived.delete(key);
    network.read(channel, now);
    return true;
  };

  const meetings: Meeting[] = [];
  const meetingOf = new Map<string, number>();
  const exchangeOf = new Map<string, Meeting>();
  const exchangeKey = ({ owner }: Runner, { task, step }: Instruction) => `${owner}\n${step}\n${task}`;
  const join = (runner: Runner, instruction: CollectiveInstruction, now: number): Meeting => {
    let index = meetingOf.get(instruction.id);
    if (index === undefined) {
      const members = instruction.members.map((id) => runnerOf.get(costs.deviceIndex(id))!);
      const meeting = {
        instruction,
        members,
        arrivals: 0,
        done: false,
        startSeconds: now,
        latencySeconds: 0,
      };
      index = meetings.push(meeting) - 1;
      meetingOf.set(instruction.id, index);
    }
    const meeting = meetings[index]!;
    meeting.arrivals += 1;
    if (instruction.awaitedBy === 'update') exchangeOf.set(exchangeKey(runner, instruction), meeting);
    if (meeting.arrivals < meeting.members.length) return meeting;
    const owners = meeting.members.map((member) => runners[member]!.owner);
    const cost = collectiveCost(costs, instruction, owners);
    meeting.startSeconds = now;
    meeting.latencySeconds = cost.latencySeconds;
    for (const [position, member] of meeting.members.entries()) {
      const bytes = cost.bytes / owners.length;
      runners[member]!.sentBytes += bytes;
      count(owners[position]!, owners[(position + 1) % owners.length]!, bytes);
    }
    if (cost.medium >= 0 && cost.seconds > 0) network.occupy(cost.medium, cost.seconds, index, now);
    else post(now + vary(cost.seconds) + cost.latencySeconds, 'collectiveDone', index);
    return meeting;
  };
  const endMeeting = (index: number, now: number) => {
    const meeting = meetings[index]!;
    const { members, instruction, startSeconds } = meeting;
    meeting.done = true;
    for (const member of members) {
      note(runners[member]!, instruction.step, now);
      if (keepSpans) spans.push(spanOf(runners[member]!.device, instruction, startSeconds, now));
    }
    for (const member of members) wake(runners[member]!, now);
  };

  const resume = (runner: Runner, now: number) => {
    if (!runner.waiting) return;
    const { since, cause } = runner.waiting;
    runner.waiting = undefined;
    runner.idleSeconds[cause] += now - since;
    if (keepSpans && now > since)
      spans.push({ device: runner.device, type: 'waiting', startSeconds: since, endSeconds: now, cause });
  };
  /** What keeps an instruction from being done now, if anything; transfers and exchanges are begun on the way. */
  const hindrance = (runner: Runner, instruction: Instruction, now: number): IdleCause | undefined => {
    switch (instruction.type) {
      case 'sendActivation':
      case 'sendGradient':
        return send(runner, instruction, now) ? undefined : 'backpressure';
      case 'receiveActivation':
        return receive(runner, instruction, now) ? undefined : 'activation';
      case 'receiveGradient':
        return receive(runner, instruction, now) ? undefined : 'gradient';
      case 'collective': {
        const meeting = runner.blockedOn ?? join(runner, instruction, now);
        const held = instruction.awaitedBy === 'next' && !meeting.done;
        runner.blockedOn = held ? meeting : undefined;
        return held ? 'collective' : undefined;
      }
      case 'update':
        return exchangeOf.get(exchangeKey(runner, instruction))?.done === false ? 'collective' : undefined;
      default:
        return undefined;
    }
  };
  /** Runs a program until it computes, waits or ends. */
  const advance = (runner: Runner, now: number): void => {
    for (;;) {
      if (now >= runner.lostAt) return;
      const instruction = runner.instructions[runner.at];
      if (!instruction) {
        resume(runner, now);
        runner.finishedSeconds = now;
        makespan = Math.max(makespan, now);
        return;
      }
      const cause = hindrance(runner, instruction, now);
      if (cause) {
        runner.waiting ??= { since: now, cause };
        return;
      }
      resume(runner, now);
      const computes = isCompute(instruction);
      const seconds = computes ? vary(durationOf(costs, instruction, runner.owner, runner.stage)) : 0;
      const end = now + seconds;
      if (end > runner.lostAt) return;
      runner.at += 1;
      // An update waits until its parameters are needed, which says nothing about how long the step took.
      if (computes && instruction.type !== 'update' && instruction.type !== 'load')
        note(runner, instruction.step, end);
      makespan = Math.max(makespan, end);
      if (seconds === 0) continue;
      runner.busySeconds += seconds;
      if (keepSpans) spans.push(spanOf(runner.device, instruction, now, end));
      post(end, 'ready', runnerOf.get(runner.owner)!);
      return;
    }
  };

  for (const index of runners.keys()) post(0, 'ready', index);
  while (queue.size > 0) {
    const now = queue.nextTime();
    const payload = queue.pop();
    const kind = kinds[payload % kinds.length]!;
    const index = Math.floor(payload / kinds.length);
    if (kind === 'ready') advance(runners[index]!, now);
    else if (kind === 'collectiveDone') endMeeting(index, now);
    else network.handle(kind, index, now);
  }

  const stalled = runners.find(({ at, instructions }) => at < instructions.length);
  if (stalled && losses.length === 0)
    throw new Error(
      `scheduler/simulate: the schedule can never end; "${stalled.device}" waits at instruction ${stalled.at}, ` +
        JSON.stringify(stalled.instructions[stalled.at]),
    );
  const devices = runners.map((runner, index): DeviceUse => {
    const lost = Math.min(runner.lostAt, makespan);
    resume(runner, lost);
    runner.idleSeconds.finished += lost - Math.min(lost, runner.finishedSeconds ?? lost);
    if (runner.lostAt < Infinity) {
      // What it had begun when it was lost counts as lost too.
      const { activation, gradient, backpressure, collective, finished } = runner.idleSeconds;
      const known = runner.busySeconds + activation + gradient + backpressure + collective + finished;
      runner.idleSeconds.lost = Math.max(0, makespan - known);
    }
    const idleSeconds = makespan - runner.busySeconds;
    const { watts, idleWatts = 0 } = costs.cluster.devices[runner.owner]!;
    return {
      device: runner.device,
      busySeconds: runner.busySeconds,
      idleSeconds: runner.idleSeconds,
      idleFraction: makespan > 0 ? idleSeconds / makespan : 0,
      peakMemoryBytes: memoryOf(costs, schedule, index).totalBytes,
      sentBytes: runner.sentBytes,
      ...(watts === undefined ? {} : { joules: watts * runner.busySeconds + idleWatts * idleSeconds }),
    };
  });
  const known = devices.flatMap(({ joules }) => (joules === undefined ? [] : [joules]));
  return {
    makespanSeconds: makespan,
    stepEndSeconds,
    devices,
    links: [...linkBytes].map(([key, bytes]) => ({
      from: costs.devices[Math.floor(key / deviceCount)]!.id,
      to: costs.devices[key % deviceCount]!.id,
      bytes,
    })),
    bytes: devices.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    ...(known.length === 0 ? {} : { joules: known.reduce((a, b) => a + b, 0) }),
    unfinished: runners.reduce((sum, { at, instructions }) => sum + instructions.length - at, 0),
    spans,
  };
}

function isCompute({ type }: Instruction): boolean {
  switch (type) {
    case 'sendActivation':
    case 'receiveActivation':
    case 'sendGradient':
    case 'receiveGradient':
    case 'collective':
      return false;
    default:
      return true;
  }
}

function spanOf(device: string, instruction: Instruction, startSeconds: number, endSeconds: number): Span {
  return {
    device,
    type: instruction.type as Span['type'],
    startSeconds,
    endSeconds,
    task: instruction.task,
    step: instruction.step,
    ...('microbatch' in instruction ? { microbatch: instruction.microbatch } : {}),
    ...(instruction.type === 'collective' ? { bytes: instruction.bytes } : {}),
  };
}
