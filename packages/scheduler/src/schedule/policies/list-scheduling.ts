/**
 * Orders a pipeline's work by playing it: whenever a device is free it takes the oldest backward pass that is ready, else the oldest
 * forward pass that its memory allows.
 *
 * Sibling tasks follow each other closely, so that one fills the bubbles another leaves, and none uses parameters older than its last
 * update. Stages below the lowest trained layer owe no backward pass and wait for no update; they run ahead, into the next step too, as far
 * as the buffers reach.
 *
 * The player is the simulator's own, so an order that was played here can be played there: no devices wait for each other for ever. Where
 * groups exchange samples every device keeps strictly to the order of age, because a message put together from several senders would
 * otherwise wait for one that a later message keeps out of the buffer.
 */
import { computeSeconds } from '../../cost/duration.js';
import { activationBytes } from '../../cost/memory.js';
import { boundaryBytes, gradientCrosses, hasBackward, trains } from '../../cost/task-costs.js';
import { createPlayer } from '../../simulate/player.js';
import { type Partner, partnersOf } from '../sample-shares.js';
import {
  type ListDevice,
  nextOp,
  numberOps,
  openListDevices,
  type OpMessage,
  takeOldest,
} from './list-device.js';
import { type ComputeStep, type PolicyContext, tasksOf } from './policy.js';
import { trackStepEnds } from './step-ends.js';

export interface ListSchedulingOptions {
  /** How many micro-batches a device may have in flight, from its stage's distance to the last stage (0 there); memory may allow fewer. */
  readonly inFlight: (distance: number) => number;
  readonly fusedBackward: boolean;
}

interface PlayedOrder {
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
  const { costs, placement, sampleShares, steps, window } = context;
  const { stages, microbatches } = placement;
  const tasks = tasksOf(context);
  const ops = numberOps(steps, tasks.length, microbatches);
  const { perStep, taskOf, stepOf, microbatchOf } = ops;
  const devices = openListDevices(context, ops, inFlight);
  const deviceAt = new Map(devices.flat().map((opened) => [opened.device, opened]));
  const stepEnds = trackStepEnds(context, devices);
  const strict = stages.some(({ members }) => members.length > 1);
  const stepEndSeconds = new Array<number>(steps).fill(0);
  let lastUpdate = 0;

  const player = createPlayer<OpMessage>(costs, {
    window,
    settles: true,
    act(device, now) {
      const at = deviceAt.get(device)!;
      if (flush(at, now)) runOldest(at, now);
    },
    onArrival({ gradient, op, from, to, key }) {
      const receiver = deviceAt.get(to)!;
      const { stageIndex, forwards, backwards } = receiver;
      const senders = partnersOn(receiver, op, gradient ? stageIndex + 1 : stageIndex - 1);
      if (player.unread(key) === senders.length) (gradient ? backwards : forwards).push(op);
      player.wake(to);
      player.wake(from);
    },
    // A gradient leaves before the weight gradient is computed.
    onReminder(device, now) {
      flush(deviceAt.get(device)!, now);
    },
    onExchanged(index, now) {
      lastUpdate = Math.max(lastUpdate, now);
      const task = index % tasks.length;
      for (const { device, readySteps } of devices[Math.floor(index / tasks.length)]!) {
        readySteps[task]! += 1;
        player.wake(device);
      }
    },
  });

  // ------------------------------------------------------------------------------------------------------------------ messages

  const keyOf = (gradient: boolean, device: number, op: number) =>
    ((gradient ? 1 : 0) * costs.devices.length + device) * ops.total + op;
  const partners = new Map<number, Partner[]>();
  const partnersOn = ({ device, stageIndex, memberIndex }: ListDevice, op: number, other: number) => {
    const key = (device * 2 + (other > stageIndex ? 1 : 0)) * perStep + (op % perStep);
    let found = partners.get(key);
    if (!found) {
      const place = { stage: stageIndex, member: memberIndex, other };
      partners.set(key, (found = partnersOf(sampleShares, taskOf(op), microbatchOf(op), place)));
    }
    return found;
  };
  const enqueue = (at: ListDevice, op: number, gradient: boolean) => {
    const { device: from, stageIndex, outbox } = at;
    const other = gradient ? stageIndex - 1 : stageIndex + 1;
    const bytes = boundaryBytes(tasks[taskOf(op)]!, stages[Math.max(other, stageIndex)]!.start);
    for (const { member, samples } of partnersOn(at, op, other)) {
      const to = devices[other]![member]!.device;
      outbox.push({ gradient, from, to, bytes: bytes * samples, key: keyOf(gradient, to, op), op });
    }
  };
  /** Sends what can be sent; false when something found no room. */
  const flush = ({ outbox }: ListDevice, now: number): boolean => {
    while (outbox.length > 0) {
      if (!player.send(outbox[0]!, now)) return false;
      outbox.shift();
    }
    return true;
  };

  // ------------------------------------------------------------------------------------------------------------------- choosing

  const activationsOf = ({ stage, member, samples }: ListDevice, op: number) =>
    activationBytes(tasks[taskOf(op)]!, stage, samples[op % perStep]!, member);
  const mayForward = (at: ListDevice, op: number): boolean => {
    const task = taskOf(op);
    if (!hasBackward(tasks[task]!, at.stage.end)) return true;
    if (stepOf(op) >= at.readySteps[task]!) return false;
    if (at.inFlight === 0) return true;
    return at.inFlight < at.inFlightLimit && at.usedBytes + activationsOf(at, op) <= at.roomBytes;
  };
  const runOldest = (at: ListDevice, now: number): void => {
    const backward = takeOldest(at.backwards, (op) => !strict || op === at.nextBackward);
    if (backward >= 0) {
      runBackward(at, backward, now);
      return;
    }
    const forward = takeOldest(at.forwards, (op) => (!strict || op === at.nextForward) && mayForward(at, op));
    if (forward >= 0) runForward(at, forward, now);
  };
  const secondsOf = ({ device, stage, member, samples }: ListDevice, type: ComputeStep['type'], op: number) =>
    computeSeconds(
      costs.devices[device]!,
      tasks[taskOf(op)]!,
      type,
      { start: stage.start, end: stage.end, work: member.work ?? 1 },
      samples[op % perStep]!,
    );
  const endStep = (step: number, at: number) => {
    stepEndSeconds[step] = Math.max(stepEndSeconds[step]!, at);
  };

  // The first stage has all inputs at hand; of each task only the next micro-batch can be the oldest.
  const admit = (at: ListDevice, task: number, from: number) => {
    const next = nextOp(at, ops, from, (op) => taskOf(op) === task);
    if (next < ops.total) at.forwards.push(next);
  };
  const runForward = (at: ListDevice, op: number, now: number) => {
    const task = taskOf(op);
    if (at.stageIndex > 0) player.read(keyOf(false, at.device, op), now);
    else admit(at, task, op + 1);
    at.forwardsLeft -= 1;
    at.nextForward = nextOp(at, ops, op + 1);
    at.order.push({ type: 'forward', task, step: stepOf(op), microbatch: microbatchOf(op) });
    const owesBackward = hasBackward(tasks[task]!, at.stage.end);
    if (owesBackward) {
      at.inFlight += 1;
      at.usedBytes += activationsOf(at, op);
    }
    if (at.stageIndex + 1 < stages.length) enqueue(at, op, false);
    else if (owesBackward) at.backwards.push(op);
    const end = now + secondsOf(at, 'forward', op);
    endStep(stepOf(op), end);
    player.occupy(at.device, end);
  };
  const runBackward = (at: ListDevice, op: number, now: number) => {
    const task = taskOf(op);
    const step = { task, step: stepOf(op), microbatch: microbatchOf(op) };
    if (at.stageIndex + 1 < stages.length) player.read(keyOf(true, at.device, op), now);
    at.nextBackward = nextOp(at, ops, op + 1, (other) => hasBackward(tasks[taskOf(other)]!, at.stage.end));
    at.order.push({ type: 'backwardInput', ...step });
    const sentAt = now + secondsOf(at, 'backwardInput', op);
    let end = sentAt;
    if (trains(tasks[task]!, at.stage)) {
      at.order.push({ type: 'backwardWeight', ...step });
      end += secondsOf(at, 'backwardWeight', op);
    }
    endStep(step.step, end);
    at.inFlight -= 1;
    at.usedBytes -= activationsOf(at, op);
    if (gradientCrosses(tasks[task]!, at.stage.start)) {
      enqueue(at, op, true);
      if (!fusedBackward && end > sentAt) player.remind(at.device, sentAt);
    }
    at.backwardsLeft[task]! -= 1;
    if (at.backwardsLeft[task] === 0) {
      at.backwardsLeft[task] = costs.loadsOf(sampleShares[task]![at.stageIndex]!)[
        at.memberIndex
      ]!.microbatches;
      const readyAt = stepEnds.finish(at, task, step.step, end);
      if (readyAt !== undefined) player.endExchange(at.stageIndex * tasks.length + task, readyAt);
    }
    player.occupy(at.device, end);
  };

  const [lowest = []] = devices;
  for (const at of lowest) for (const task of tasks.keys()) admit(at, task, 0);
  player.play(deviceAt.keys());

  for (const { device, forwardsLeft, inFlight: held } of devices.flat())
    if (forwardsLeft > 0 || held > 0)
      throw new Error(
        `internal: scheduler/listSchedule: "${costs.devices[device]!.id}" did not finish its work`,
      );
  return {
    order: devices.map((members) => members.map(({ order }) => order)),
    makespanSeconds: Math.max(lastUpdate, ...stepEndSeconds),
    stepEndSeconds,
  };
}
