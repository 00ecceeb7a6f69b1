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
import { SchedulerError } from '../../scheduler-error.js';
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
  /** When the last pass ended, and each step's last. */
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
  const deviceAt = new Map(devices.flat().map((opened) => [opened.index, opened]));
  const finishStep = trackStepEnds(context, devices);
  const strict = stages.some(({ members }) => members.length > 1);
  const stepEndSeconds = new Array<number>(steps).fill(0);
  let lastUpdate = 0;

  const player = createPlayer<OpMessage>(costs, {
    window,
    settles: true,
    act(index, now) {
      const device = deviceAt.get(index)!;
      if (flush(device, now)) runOldest(device, now);
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
    onReminder(index, now) {
      flush(deviceAt.get(index)!, now);
    },
    onExchanged(exchange, now) {
      lastUpdate = Math.max(lastUpdate, now);
      const task = exchange % tasks.length;
      for (const { index: device, readySteps } of devices[Math.floor(exchange / tasks.length)]!) {
        readySteps[task]! += 1;
        player.wake(device);
      }
    },
  });

  // ------------------------------------------------------------------------------------------------------------------ messages

  const keyOf = (gradient: boolean, device: number, op: number) =>
    ((gradient ? 1 : 0) * costs.devices.length + device) * ops.total + op;
  const partners = new Map<number, Partner[]>();
  const partnersOn = ({ index, stageIndex, memberIndex }: ListDevice, op: number, other: number) => {
    const key = (index * 2 + (other > stageIndex ? 1 : 0)) * perStep + (op % perStep);
    let found = partners.get(key);
    if (!found) {
      const place = { stage: stageIndex, member: memberIndex, other };
      partners.set(key, (found = partnersOf(sampleShares, taskOf(op), microbatchOf(op), place)));
    }
    return found;
  };
  const enqueue = (device: ListDevice, op: number, gradient: boolean) => {
    const { index: from, stageIndex, outbox } = device;
    const other = gradient ? stageIndex - 1 : stageIndex + 1;
    const bytes = boundaryBytes(tasks[taskOf(op)]!, stages[Math.max(other, stageIndex)]!.start);
    for (const { member, samples } of partnersOn(device, op, other)) {
      const to = devices[other]![member]!.index;
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
  const mayForward = (device: ListDevice, op: number): boolean => {
    const task = taskOf(op);
    if (!hasBackward(tasks[task]!, device.stage.end)) return true;
    if (stepOf(op) >= device.readySteps[task]!) return false;
    if (device.inFlight === 0) return true;
    return (
      device.inFlight < device.inFlightLimit &&
      device.usedBytes + activationsOf(device, op) <= device.roomBytes
    );
  };
  const runOldest = (device: ListDevice, now: number): void => {
    const backward = takeOldest(device.backwards, (op) => !strict || op === device.nextBackward);
    if (backward >= 0) {
      runBackward(device, backward, now);
      return;
    }
    const forward = takeOldest(
      device.forwards,
      (op) => (!strict || op === device.nextForward) && mayForward(device, op),
    );
    if (forward >= 0) runForward(device, forward, now);
  };
  const secondsOf = ({ index, stage, member, samples }: ListDevice, type: ComputeStep['type'], op: number) =>
    computeSeconds(
      costs.devices[index]!,
      tasks[taskOf(op)]!,
      type,
      { start: stage.start, end: stage.end, work: member.work ?? 1 },
      samples[op % perStep]!,
    );
  const endStep = (step: number, end: number) => {
    stepEndSeconds[step] = Math.max(stepEndSeconds[step]!, end);
  };

  // The first stage has all inputs at hand; of each task only the next micro-batch can be the oldest.
  const admit = (device: ListDevice, task: number, from: number) => {
    const next = nextOp(device, ops, from, (op) => taskOf(op) === task);
    if (next < ops.total) device.forwards.push(next);
  };
  const runForward = (device: ListDevice, op: number, now: number) => {
    const task = taskOf(op);
    if (device.stageIndex > 0) player.read(keyOf(false, device.index, op), now);
    else admit(device, task, op + 1);
    device.forwardsLeft -= 1;
    device.nextForward = nextOp(device, ops, op + 1);
    device.order.push({ type: 'forward', task, step: stepOf(op), microbatch: microbatchOf(op) });
    const owesBackward = hasBackward(tasks[task]!, device.stage.end);
    if (owesBackward) {
      device.inFlight += 1;
      device.usedBytes += activationsOf(device, op);
    }
    if (device.stageIndex + 1 < stages.length) enqueue(device, op, false);
    else if (owesBackward) device.backwards.push(op);
    const end = now + secondsOf(device, 'forward', op);
    endStep(stepOf(op), end);
    player.occupy(device.index, end);
  };
  const runBackward = (device: ListDevice, op: number, now: number) => {
    const task = taskOf(op);
    const step = { task, step: stepOf(op), microbatch: microbatchOf(op) };
    if (device.stageIndex + 1 < stages.length) player.read(keyOf(true, device.index, op), now);
    device.nextBackward = nextOp(device, ops, op + 1, (other) =>
      hasBackward(tasks[taskOf(other)]!, device.stage.end),
    );
    device.order.push({ type: 'backwardInput', ...step });
    const sentAt = now + secondsOf(device, 'backwardInput', op);
    let end = sentAt;
    if (trains(tasks[task]!, device.stage)) {
      device.order.push({ type: 'backwardWeight', ...step });
      end += secondsOf(device, 'backwardWeight', op);
    }
    endStep(step.step, end);
    device.inFlight -= 1;
    device.usedBytes -= activationsOf(device, op);
    if (gradientCrosses(tasks[task]!, device.stage.start)) {
      enqueue(device, op, true);
      if (!fusedBackward && end > sentAt) player.remind(device.index, sentAt);
    }
    device.backwardsLeft[task]! -= 1;
    if (device.backwardsLeft[task] === 0) {
      device.backwardsLeft[task] = costs.loadsOf(sampleShares[task]![device.stageIndex]!)[
        device.memberIndex
      ]!.microbatches;
      const exchange = finishStep(device, task, step.step, end);
      if (exchange) player.exchange(device.stageIndex * tasks.length + task, exchange.cost, exchange.at);
    }
    player.occupy(device.index, end);
  };

  const [lowest = []] = devices;
  for (const device of lowest) for (const task of tasks.keys()) admit(device, task, 0);
  player.play(deviceAt.keys());

  for (const { index, forwardsLeft, inFlight: held } of devices.flat())
    if (forwardsLeft > 0 || held > 0)
      // A member short of memory may lag so far behind its group that those ahead fill the buffers it needs.
      throw new SchedulerError(
        'SCHEDULER_SCHEDULE_ENDLESS',
        'listSchedule',
        `"${costs.devices[index]!.id}" and others wait for each other for ever with so many micro-batches in flight; allow fewer, or a larger window`,
      );
  return {
    order: devices.map((members) => members.map(({ order }) => order)),
    makespanSeconds: Math.max(lastUpdate, ...stepEndSeconds),
    stepEndSeconds,
  };
}
