/**
 * Orders a pipeline's work by playing it through: whenever a device is free it takes the oldest backward that is ready, else the oldest
 * forward that its memory allows.
 *
 * Oldest means by step, then task, then micro-batch: sibling tasks follow each other closely, so one fills the bubbles that another
 * leaves, and none uses parameters older than its last update. Stages below the lowest trained layer owe no backward pass and wait for
 * no update; they run ahead, into the next step too, as far as the buffers reach.
 *
 * The network is the simulator's own, so an order that could be played here can be played there: nobody waits in a circle. Where groups
 * exchange samples every device keeps strictly to the order of age, because a message put together from several senders would otherwise
 * wait for one that a later message keeps out of the buffer.
 */
import {
  boundaryBytes,
  collectiveCost,
  computeSeconds,
  gradientCrosses,
  hasBackward,
} from '../../cost/cost-model.js';
import { createEventQueue } from '../../simulate/event-queue.js';
import { activationBytes, residentBytes } from '../../cost/memory.js';
import { createNetwork, type Message, type Transfer } from '../../simulate/network.js';
import { type Partner, partnersOf } from '../partners.js';
import { type ComputeStep, type PolicyContext, tasksOf, trains } from './policy.js';

export interface ListSchedulingOptions {
  /** How many micro-batches a device may have in flight, from its stage's distance to the last stage (0 there); memory may allow fewer. */
  readonly inFlight: (distance: number) => number;
  readonly fusedBackward: boolean;
}

interface StageMessage extends Message {
  readonly op: number;
}

/** What a device is doing or may do next. An op is (step, task, micro-batch) as one number, in order of age. */
interface Worker {
  readonly stage: number;
  readonly member: number;
  readonly device: number;
  busyUntil: number;
  /** Ops whose activations have begun to arrive, and those whose gradients have. */
  readonly forwards: number[];
  readonly backwards: number[];
  readonly outbox: StageMessage[];
  /** Bytes free for activations, and in use. */
  readonly roomBytes: number;
  usedBytes: number;
  inFlight: number;
  readonly inFlightLimit: number;
  /** Per task: the first step whose parameters are not ready. */
  readonly readySteps: Int32Array;
  readonly backwardsLeft: Int32Array;
  /** Of each (task, micro-batch). */
  readonly samples: Int32Array;
  /** The oldest op not yet run forward, and backward. */
  forwardsLeft: number;
  nextForward: number;
  nextBackward: number;
  readonly order: ComputeStep[];
}

const kinds = ['linkDone', 'airDone', 'arrives', 'free', 'updated'] as const;

export interface PlayedOrder {
  /** `order[stage][member]` */
  readonly order: ComputeStep[][][];
  /** When the last pass ended, and each step's last; exchanges in groups are taken to have the network to themselves. */
  readonly makespanSeconds: number;
  readonly stepEndSeconds: readonly number[];
}

export const listSchedule = (context: PolicyContext, options: ListSchedulingOptions): ComputeStep[][][] =>
  playPipeline(context, options).order;

/** As `listSchedule`, with the times found on the way: good enough to compare placements, at a third of what simulating them costs. */
export function playPipeline(
  context: PolicyContext,
  { inFlight, fusedBackward }: ListSchedulingOptions,
): PlayedOrder {
  const { costs, placement, deal, steps, window } = context;
  const { stages, microbatches } = placement;
  const tasks = tasksOf(context);
  const perStep = tasks.length * microbatches;
  const total = steps * perStep;
  const taskOf = (op: number) => Math.floor((op % perStep) / microbatches);
  const stepOf = (op: number) => Math.floor(op / perStep);

  const workers: Worker[][] = stages.map((stage, s) =>
    stage.members.map((own, m): Worker => {
      const device = costs.deviceIndex(own.device);
      const loads = tasks.map((_, t) => costs.loadsOf(deal[t]![s]!)[m]!);
      const resident = residentBytes(costs, placement, s, own, {
        window,
        mostSamples: (task) => loads[placement.tasks.indexOf(costs.tasks[task]!.name)]!.most,
      });
      return {
        stage: s,
        member: m,
        device,
        busyUntil: 0,
        forwards: [],
        backwards: [],
        outbox: [],
        roomBytes:
          costs.devices[device]!.memoryBytes -
          resident.parameterBytes -
          resident.optimizerBytes -
          resident.bufferBytes,
        usedBytes: 0,
        inFlight: 0,
        inFlightLimit: inFlight(stages.length - 1 - s),
        readySteps: new Int32Array(tasks.length).fill(1),
        backwardsLeft: Int32Array.from(loads, ({ microbatches: count }) => count),
        forwardsLeft: steps * loads.reduce((sum, { microbatches: count }) => sum + count, 0),
        nextForward: -1,
        nextBackward: -1,
        samples: Int32Array.from(
          { length: perStep },
          (_, op) => deal[taskOf(op)]![s]![op % microbatches]![m]!,
        ),
        order: [],
      };
    }),
  );
  const workerOf = new Map(workers.flat().map((worker) => [worker.device, worker]));
  // Messages an op still misses on a stage's member, counted down as they arrive.
  const missing = new Map<number, number>();
  const heldBack = new Map<number, number[]>();
  const keyOf = (gradient: boolean, { device }: Worker, op: number) =>
    ((gradient ? 1 : 0) * costs.devices.length + device) * total + op;
  const partners = new Map<number, Partner[]>();
  const partnersOn = ({ stage, member, device }: Worker, op: number, other: number): Partner[] => {
    const key = (device * 2 + (other > stage ? 1 : 0)) * perStep + (op % perStep);
    let found = partners.get(key);
    if (!found)
      partners.set(key, (found = partnersOf(deal, taskOf(op), op % microbatches, { stage, member, other })));
    return found;
  };
  const samplesOf = ({ samples }: Worker, op: number) => samples[op % perStep]!;

  const queue = createEventQueue();
  const post = (time: number, kind: (typeof kinds)[number], index: number) => {
    queue.push(time, index * kinds.length + kinds.indexOf(kind));
  };
  const woken = new Set<Worker>();
  const network = createNetwork<StageMessage>(costs, {
    window,
    post,
    onArrival: (transfer) => {
      receive(transfer);
      woken.add(workerOf.get(transfer.message.from)!);
    },
  });
  const receive = ({ message: { gradient, op, to }, channel }: Transfer<StageMessage>) => {
    const worker = workerOf.get(to)!;
    const key = keyOf(gradient, worker, op);
    let left = missing.get(key);
    left ??= partnersOn(worker, op, gradient ? worker.stage + 1 : worker.stage - 1).length;
    missing.set(key, left - 1);
    const channels = heldBack.get(key);
    if (channels) channels.push(channel);
    else heldBack.set(key, [channel]);
    if (left === 1) (gradient ? worker.backwards : worker.forwards).push(op);
    woken.add(worker);
  };
  /** Reads an op's messages, which makes room for others. */
  const read = (gradient: boolean, worker: Worker, op: number, now: number) => {
    const key = keyOf(gradient, worker, op);
    for (const channel of heldBack.get(key) ?? []) network.read(channel, now);
    heldBack.delete(key);
    missing.delete(key);
  };
  /** Sends what can be sent; a device whose messages find no room waits. */
  const flush = (worker: Worker, now: number): boolean => {
    while (worker.outbox.length > 0) {
      if (!network.send(worker.outbox[0]!, now)) return false;
      worker.outbox.shift();
    }
    return true;
  };

  const mayForward = (worker: Worker, op: number): boolean => {
    const task = taskOf(op);
    if (!hasBackward(tasks[task]!, stages[worker.stage]!.end)) return true;
    if (stepOf(op) >= worker.readySteps[task]!) return false;
    if (worker.inFlight === 0) return true;
    return (
      worker.inFlight < worker.inFlightLimit &&
      worker.usedBytes + activationsOf(worker, op) <= worker.roomBytes
    );
  };
  const activationsOf = (worker: Worker, op: number) => {
    const stage = stages[worker.stage]!;
    const name = placement.tasks[taskOf(op)]!;
    return activationBytes(
      costs,
      costs.taskIndex(name),
      stage,
      stage.members[worker.member]!,
      samplesOf(worker, op),
    );
  };
  const takeOldest = (ready: number[], may: (op: number) => boolean): number => {
    let best = -1;
    for (let index = 0; index < ready.length; index++)
      if ((best < 0 || ready[index]! < ready[best]!) && may(ready[index]!)) best = index;
    return best < 0 ? -1 : ready.splice(best, 1)[0]!;
  };
  const start = (worker: Worker, now: number): void => {
    if (worker.busyUntil > now || !flush(worker, now)) return;
    const backward = takeOldest(worker.backwards, (op) => !strict || op === worker.nextBackward);
    if (backward >= 0) {
      runBackward(worker, backward, now);
      return;
    }
    const forward = takeOldest(
      worker.forwards,
      (op) => (!strict || op === worker.nextForward) && mayForward(worker, op),
    );
    if (forward >= 0) runForward(worker, forward, now);
  };
  const runForward = (worker: Worker, op: number, now: number) => {
    const task = taskOf(op);
    const stage = stages[worker.stage]!;
    const samples = samplesOf(worker, op);
    if (worker.stage > 0) read(false, worker, op, now);
    else admit(worker, op);
    worker.forwardsLeft -= 1;
    worker.nextForward = nextOp(worker, op + 1);
    worker.order.push({ type: 'forward', task, step: stepOf(op), microbatch: op % microbatches });
    const end = now + secondsOf(worker, 'forward', task, samples);
    if (hasBackward(tasks[task]!, stage.end)) {
      worker.inFlight += 1;
      worker.usedBytes += activationsOf(worker, op);
    }
    const last = worker.stage + 1 === stages.length;
    if (last && hasBackward(tasks[task]!, stage.end)) worker.backwards.push(op);
    else if (!last) enqueue(worker, op, false);
    worker.busyUntil = end;
    note(stepOf(op), end);
    post(end, 'free', worker.device);
  };
  const stepEndSeconds = new Array<number>(steps).fill(0);
  const note = (step: number, end: number) => {
    stepEndSeconds[step] = Math.max(stepEndSeconds[step]!, end);
  };
  const runBackward = (worker: Worker, op: number, now: number) => {
    const task = taskOf(op);
    const stage = stages[worker.stage]!;
    const samples = samplesOf(worker, op);
    const step = { task, step: stepOf(op), microbatch: op % microbatches };
    if (worker.stage + 1 < stages.length) read(true, worker, op, now);
    worker.nextBackward = nextOp(worker, op + 1, owesBackward(worker));
    worker.order.push({ type: 'backwardInput', ...step });
    let end = now + secondsOf(worker, 'backwardInput', task, samples);
    const sentAt = end;
    if (trains(tasks[task]!, stage)) {
      worker.order.push({ type: 'backwardWeight', ...step });
      end += secondsOf(worker, 'backwardWeight', task, samples);
    }
    note(step.step, end);
    worker.inFlight -= 1;
    worker.usedBytes -= activationsOf(worker, op);
    worker.busyUntil = end;
    if (gradientCrosses(tasks[task]!, stage.start)) {
      enqueue(worker, op, true);
      // The gradient leaves before the weight gradient is computed.
      if (!fusedBackward && end > sentAt) post(sentAt, 'free', worker.device);
    }
    worker.backwardsLeft[task]! -= 1;
    if (worker.backwardsLeft[task] === 0) finishStep(worker, task, stepOf(op), end);
    post(end, 'free', worker.device);
  };
  const enqueue = (worker: Worker, op: number, gradient: boolean) => {
    const other = gradient ? worker.stage - 1 : worker.stage + 1;
    const bytes = boundaryBytes(tasks[taskOf(op)]!, stages[Math.max(other, worker.stage)]!.start);
    for (const { member, samples } of partnersOn(worker, op, other))
      worker.outbox.push({
        gradient,
        from: worker.device,
        to: workers[other]![member]!.device,
        bytes: bytes * samples,
        op,
      });
  };
  const secondsOf = (worker: Worker, type: ComputeStep['type'], task: number, samples: number) => {
    const { start: from, end, members } = stages[worker.stage]!;
    const { work = 1 } = members[worker.member]!;
    return computeSeconds(
      costs.devices[worker.device]!,
      tasks[task]!,
      type,
      { start: from, end, work },
      samples,
    );
  };

  // A step's parameters are ready when all members of the group have finished the step before and exchanged gradients.
  const finished = stages.map(() => new Map<number, { count: number; at: number }>());
  const finishStep = (worker: Worker, task: number, step: number, at: number) => {
    const loads = costs.loadsOf(deal[task]![worker.stage]!);
    worker.backwardsLeft[task] = loads[worker.member]!.microbatches;
    const state = finished[worker.stage]!;
    const key = step * tasks.length + task;
    const entry = state.get(key) ?? { count: 0, at: 0 };
    entry.count += 1;
    entry.at = Math.max(entry.at, at);
    state.set(key, entry);
    const group = workers[worker.stage]!.filter(({ member }) => loads[member]!.microbatches > 0);
    if (entry.count < group.length) return;
    const { start: from, end } = stages[worker.stage]!;
    const { gradientBytes } = tasks[task]!.sums;
    const bytes = gradientBytes[end]! - gradientBytes[from]!;
    const exchange =
      group.length > 1 && bytes > 0 && trains(tasks[task]!, { start: from, end })
        ? collectiveCost(
            costs,
            { operation: 'allReduce', bytes, messages: 1 },
            group.map(({ device }) => device),
          )
        : { seconds: 0, latencySeconds: 0 };
    post(
      entry.at + exchange.seconds + exchange.latencySeconds,
      'updated',
      worker.stage * tasks.length + task,
    );
  };

  const strict = stages.some(({ members }) => members.length > 1);
  const owesBackward = (worker: Worker) => (op: number) =>
    hasBackward(tasks[taskOf(op)]!, stages[worker.stage]!.end);
  const nextOp = (worker: Worker, from: number, isOne: (op: number) => boolean = () => true): number => {
    let op = from;
    while (op < total && !(samplesOf(worker, op) > 0 && isOne(op))) op += 1;
    return op;
  };
  for (const worker of workers.flat()) {
    worker.nextForward = nextOp(worker, 0);
    worker.nextBackward = nextOp(worker, 0, owesBackward(worker));
  }
  // The first stage has all inputs at hand; of each task only the next micro-batch can be the oldest.
  const admit = (worker: Worker, op: number) => {
    const next = nextOp(worker, op + 1, (other) => taskOf(other) === taskOf(op));
    if (next < total) worker.forwards.push(next);
  };
  for (const worker of workers[0]!)
    for (let task = 0; task < tasks.length; task++) {
      const first = nextOp(worker, 0, (op) => taskOf(op) === task);
      if (first < total) worker.forwards.push(first);
    }

  let lastUpdate = 0;
  for (const worker of workers[0]!) start(worker, 0);
  while (queue.size > 0) {
    const now = queue.nextTime();
    // What happens at the same time, rounding aside, is known before anything is chosen.
    while (queue.size > 0 && queue.nextTime() <= now * (1 + 1e-12)) {
      const payload = queue.pop();
      const kind = kinds[payload % kinds.length]!;
      const index = Math.floor(payload / kinds.length);
      if (kind === 'updated') lastUpdate = Math.max(lastUpdate, now);
      if (kind === 'free') {
        const worker = workerOf.get(index)!;
        if (worker.busyUntil <= now * (1 + 1e-12)) worker.busyUntil = now;
        else flush(worker, now);
        woken.add(worker);
      } else if (kind === 'updated') {
        const task = index % tasks.length;
        for (const worker of workers[Math.floor(index / tasks.length)]!) {
          worker.readySteps[task]! += 1;
          woken.add(worker);
        }
      } else network.handle(kind, index, now);
    }
    while (woken.size > 0) {
      const batch = [...woken];
      woken.clear();
      for (const worker of batch) start(worker, now);
    }
  }
  for (const worker of workers.flat())
    if (worker.forwardsLeft > 0 || worker.inFlight > 0)
      throw new Error(
        `internal: scheduler/listSchedule: "${costs.devices[worker.device]!.id}" did not finish its work`,
      );
  return {
    order: workers.map((members) => members.map(({ order }) => order)),
    makespanSeconds: Math.max(lastUpdate, ...stepEndSeconds),
    stepEndSeconds,
  };
}
