/**
 * Plays a schedule's programs: every device runs its instructions in order.
 *
 * Computing takes time; a send only starts a transfer, unless its channel has no room; a receive waits for its message; a collective
 * begins when the last member has come. Computing and transferring overlap.
 */
import { collectiveCost } from '../cost/collective-cost.js';
import type { CostModel } from '../cost/cost-model.js';
import { messageBytes, type StageRange } from '../cost/duration.js';
import type {
  CollectiveInstruction,
  ComputeInstruction,
  DeviceProgram,
  Instruction,
  Schedule,
  TransferInstruction,
} from '../schedule/schedule.js';
import { createPlayer, type KeyedMessage } from './player.js';
import type { IdleCause } from './timeline.js';

/** A device's program and how far it has been played. */
export interface PlayedProgram {
  readonly program: DeviceProgram;
  /** Index of the device. */
  readonly device: number;
  readonly stage: StageRange;
  /** When the device is lost; Infinity for never. */
  readonly lostAt: number;
  /** Index of the next instruction. */
  at: number;
  /** It has ended, or its device will be lost before the next instruction could. */
  stopped: boolean;
  waiting: { readonly since: number; readonly cause: IdleCause } | undefined;
  /** The exchange it stands in. */
  standsIn: Exchange | undefined;
}

/** An exchange of a group; it starts when the last member has come. */
interface Exchange {
  readonly instruction: CollectiveInstruction;
  arrivals: number;
  /** In the order of the ring; known once it has begun. */
  members: readonly PlayedProgram[];
  startSeconds: number;
  done: boolean;
}

/** A message that is being sent, for whoever records it. */
interface SentMessage extends KeyedMessage {
  readonly sender: PlayedProgram;
  readonly instruction: TransferInstruction;
}

/** What happens, as it happens. */
export interface ProgramRecorder {
  /** An instruction has been begun and takes so many seconds; 0 for all but computing. */
  onInstruction(played: PlayedProgram, instruction: Instruction, start: number, seconds: number): void;
  onWaited(played: PlayedProgram, cause: IdleCause, since: number, now: number): void;
  onEnd(played: PlayedProgram, now: number): void;
  /** Bytes that a device sends, to the device with this index. */
  onBytes(played: PlayedProgram, to: number, bytes: number): void;
  readonly onSent?: (message: SentMessage, start: number, now: number) => void;
  onExchanged(played: PlayedProgram, instruction: CollectiveInstruction, start: number, now: number): void;
}

interface PlayProgramsOptions {
  /** Seconds of computing. */
  readonly price: (instruction: ComputeInstruction, played: PlayedProgram) => number;
  /** Changes a duration on the network, for jitter. */
  readonly vary?: (seconds: number) => number;
  readonly lostAt?: (device: string) => number;
  readonly recorder?: ProgramRecorder;
}

/** Plays until nothing happens any more, and returns how far each program came. */
export function playPrograms(
  costs: CostModel,
  schedule: Schedule,
  { price, vary = (seconds) => seconds, lostAt = () => Infinity, recorder }: PlayProgramsOptions,
): PlayedProgram[] {
  const programs = schedule.programs.map((program): PlayedProgram => {
    const { start, end, members } = schedule.placements[program.placement]!.stages[program.stage]!;
    const { work = 1 } = members.find(({ device }) => device === program.device)!;
    return {
      program,
      device: costs.deviceIndex(program.device),
      stage: { start, end, work },
      lostAt: lostAt(program.device),
      at: 0,
      stopped: false,
      waiting: undefined,
      standsIn: undefined,
    };
  });
  const programOn = new Map(programs.map((played) => [played.device, played]));
  const keyOf = messageKeys(costs, schedule);
  const exchanges: Exchange[] = [];
  const exchangeIndex = new Map<string, number>();
  /** The exchange that a task's next update on a device waits for. */
  const updateWaitsFor = new Map<string, Exchange>();
  const updateKey = ({ device }: PlayedProgram, { task, step }: Instruction) => `${device}\n${step}\n${task}`;

  const player = createPlayer<SentMessage>(costs, {
    window: schedule.window,
    settles: false,
    vary,
    act: (device, now) => {
      advance(programOn.get(device)!, now);
    },
    onArrival({ from, to }) {
      player.wake(from);
      player.wake(to);
    },
    ...(recorder?.onSent
      ? {
          onSent: ({ message, startSeconds }, now) => {
            recorder.onSent?.(message, startSeconds, now);
          },
        }
      : {}),
    onExchanged(index, now) {
      const exchange = exchanges[index]!;
      exchange.done = true;
      for (const member of exchange.members) {
        recorder?.onExchanged(member, exchange.instruction, exchange.startSeconds, now);
        player.wake(member.device);
      }
    },
  });

  const send = (played: PlayedProgram, instruction: TransferInstruction, now: number): boolean => {
    const { device: from, stage } = played;
    const to = costs.deviceIndex(instruction.peer);
    const bytes = messageBytes(costs.taskNamed(instruction.task), instruction, stage);
    const gradient = instruction.type === 'sendGradient';
    const key = keyOf(gradient, instruction, from, to);
    const taken = player.send({ gradient, from, to, bytes, key, sender: played, instruction }, now);
    if (taken) recorder?.onBytes(played, to, bytes);
    return taken;
  };
  const receive = ({ device }: PlayedProgram, instruction: TransferInstruction, now: number): boolean =>
    player.read(
      keyOf(instruction.type === 'receiveGradient', instruction, costs.deviceIndex(instruction.peer), device),
      now,
    );

  const join = (played: PlayedProgram, instruction: CollectiveInstruction, now: number): Exchange => {
    let index = exchangeIndex.get(instruction.id);
    if (index === undefined) {
      index = exchanges.length;
      exchangeIndex.set(instruction.id, index);
      exchanges.push({
        instruction,
        arrivals: 0,
        members: [],
        startSeconds: now,
        done: false,
      });
    }
    const exchange = exchanges[index]!;
    exchange.arrivals += 1;
    if (instruction.awaitedBy === 'update') updateWaitsFor.set(updateKey(played, instruction), exchange);
    if (exchange.arrivals === exchange.instruction.members.length) begin(exchange, index, now);
    return exchange;
  };
  const begin = (exchange: Exchange, index: number, now: number) => {
    const ring = exchange.instruction.members.map(costs.deviceIndex);
    const members = ring.map((device) => programOn.get(device)!);
    const cost = collectiveCost(costs, exchange.instruction, ring);
    exchange.members = members;
    exchange.startSeconds = now;
    for (const [position, member] of cost.bytes > 0 ? members.entries() : [])
      recorder?.onBytes(member, ring[(position + 1) % ring.length]!, cost.bytes / ring.length);
    player.exchange(index, cost, now);
  };

  /** What keeps an instruction from being done now, if anything; transfers and exchanges are begun on the way. */
  const hindrance = (played: PlayedProgram, instruction: Instruction, now: number): IdleCause | undefined => {
    switch (instruction.type) {
      case 'sendActivation':
      case 'sendGradient':
        return send(played, instruction, now) ? undefined : 'backpressure';
      case 'receiveActivation':
        return receive(played, instruction, now) ? undefined : 'activation';
      case 'receiveGradient':
        return receive(played, instruction, now) ? undefined : 'gradient';
      case 'collective': {
        const exchange = played.standsIn ?? join(played, instruction, now);
        const held = instruction.awaitedBy === 'next' && !exchange.done;
        played.standsIn = held ? exchange : undefined;
        return held ? 'collective' : undefined;
      }
      case 'update':
        return updateWaitsFor.get(updateKey(played, instruction))?.done === false ? 'collective' : undefined;
      default:
        return undefined;
    }
  };
  /** Runs a program until it computes, waits or ends. */
  const advance = (played: PlayedProgram, now: number): void => {
    const { program, lostAt: lost } = played;
    while (!played.stopped && now < lost) {
      const instruction = program.instructions[played.at];
      const cause = instruction && hindrance(played, instruction, now);
      if (cause) {
        played.waiting ??= { since: now, cause };
        return;
      }
      if (played.waiting) recorder?.onWaited(played, played.waiting.cause, played.waiting.since, now);
      played.waiting = undefined;
      if (!instruction) {
        played.stopped = true;
        recorder?.onEnd(played, now);
        return;
      }
      const seconds = isCompute(instruction) ? price(instruction, played) : 0;
      if (now + seconds > lost) {
        played.stopped = true;
        return;
      }
      played.at += 1;
      recorder?.onInstruction(played, instruction, now, seconds);
      if (seconds === 0) continue;
      player.occupy(played.device, now + seconds);
      return;
    }
  };

  player.play(programs.map(({ device }) => device));
  return programs;
}

export const isCompute = (instruction: Instruction): instruction is ComputeInstruction =>
  !('peer' in instruction) && instruction.type !== 'collective';

/** The same number for a send and the receive it meets. */
function messageKeys({ tasks, devices, taskIndex }: CostModel, { placements, steps }: Schedule) {
  const microbatches = Math.max(1, ...placements.map((placement) => placement.microbatches));
  return (gradient: boolean, { task, step, microbatch }: TransferInstruction, from: number, to: number) => {
    const stream = ((gradient ? 1 : 0) * tasks.length + taskIndex(task)) * steps + step;
    return ((stream * microbatches + microbatch) * devices.length + from) * devices.length + to;
  };
}
