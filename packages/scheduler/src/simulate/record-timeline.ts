/** Writes down what happens while programs are played, and sums it up as a timeline. */
import type { CostModel } from '../cost/cost-model.js';
import { joulesOf } from '../cost/energy.js';
import type { Instruction, Schedule } from '../schedule/schedule.js';
import { memoryOf } from '../schedule/memory-of.js';
import { isCompute, type PlayedProgram, type ProgramRecorder } from './play-programs.js';
import type { DeviceUse, IdleCause, Span, Timeline } from './timeline.js';

interface Tally {
  busySeconds: number;
  sentBytes: number;
  finishedSeconds: number | undefined;
  readonly idleSeconds: Record<IdleCause, number>;
}

interface TimelineRecorder {
  readonly recorder: ProgramRecorder;
  /** Once everything has been played. */
  readonly timelineOf: (played: readonly PlayedProgram[]) => Timeline;
}

export function recordTimeline(costs: CostModel, schedule: Schedule, keepSpans: boolean): TimelineRecorder {
  const deviceCount = costs.devices.length;
  const stepEndSeconds = schedule.placements.map(() => new Array<number>(schedule.steps).fill(0));
  const linkBytes = new Map<number, number>();
  const spans: Span[] = [];
  const tallies = new Map(
    schedule.programs.map(({ device }): [string, Tally] => [
      device,
      {
        busySeconds: 0,
        sentBytes: 0,
        finishedSeconds: undefined,
        idleSeconds: { activation: 0, gradient: 0, backpressure: 0, collective: 0, finished: 0, lost: 0 },
      },
    ]),
  );
  const tallyOf = ({ program }: PlayedProgram) => tallies.get(program.device)!;
  let makespan = 0;
  const endStep = ({ program }: PlayedProgram, step: number, at: number) => {
    makespan = Math.max(makespan, at);
    const ends = stepEndSeconds[program.placement]!;
    ends[step] = Math.max(ends[step]!, at);
  };

  const recorder: ProgramRecorder = {
    onInstruction(played, instruction, start, seconds) {
      const end = start + seconds;
      // An update waits until its parameters are needed, which says nothing about how long the step took.
      if (isCompute(instruction) && instruction.type !== 'update' && instruction.type !== 'load')
        endStep(played, instruction.step, end);
      makespan = Math.max(makespan, end);
      if (seconds === 0) return;
      tallyOf(played).busySeconds += seconds;
      if (keepSpans) spans.push(spanOf(played, instruction, start, end));
    },
    onWaited(played, cause, since, now) {
      tallyOf(played).idleSeconds[cause] += now - since;
      if (keepSpans && now > since)
        spans.push({
          device: played.program.device,
          type: 'waiting',
          startSeconds: since,
          endSeconds: now,
          cause,
        });
    },
    onEnd(played, now) {
      tallyOf(played).finishedSeconds = now;
      makespan = Math.max(makespan, now);
    },
    onBytes(played, to, bytes) {
      tallyOf(played).sentBytes += bytes;
      const link = played.device * deviceCount + to;
      linkBytes.set(link, (linkBytes.get(link) ?? 0) + bytes);
    },
    ...(keepSpans
      ? {
          onSent({ sender, instruction, bytes }, start, now) {
            spans.push({ ...spanOf(sender, instruction, start, now), peer: instruction.peer, bytes });
          },
        }
      : {}),
    onExchanged(played, instruction, start, now) {
      endStep(played, instruction.step, now);
      if (keepSpans) spans.push(spanOf(played, instruction, start, now));
    },
  };

  const useOf = (played: PlayedProgram, index: number): DeviceUse => {
    const { device, waiting, lostAt } = played;
    const { id } = costs.devices[device]!;
    const lost = Math.min(lostAt, makespan);
    if (waiting) recorder.onWaited(played, waiting.cause, waiting.since, lost);
    const { busySeconds, sentBytes, finishedSeconds, idleSeconds } = tallyOf(played);
    idleSeconds.finished += lost - Math.min(lost, finishedSeconds ?? lost);
    if (lostAt < Infinity) {
      // What it had begun when it was lost counts as lost too.
      const { activation, gradient, backpressure, collective, finished } = idleSeconds;
      const known = busySeconds + activation + gradient + backpressure + collective + finished;
      idleSeconds.lost = Math.max(0, makespan - known);
    }
    const joules = joulesOf(costs.cluster.devices[device]!, busySeconds, makespan);
    return {
      device: id,
      busySeconds,
      idleSeconds,
      idleFraction: makespan > 0 ? (makespan - busySeconds) / makespan : 0,
      peakMemoryBytes: memoryOf(costs, schedule, index).totalBytes,
      sentBytes,
      ...(joules === undefined ? {} : { joules }),
    };
  };

  return {
    recorder,
    timelineOf(played) {
      const devices = played.map(useOf);
      const known = devices.flatMap(({ joules }) => (joules === undefined ? [] : [joules]));
      return {
        makespanSeconds: makespan,
        stepEndSeconds,
        devices,
        links: [...linkBytes].map(([link, bytes]) => ({
          from: costs.devices[Math.floor(link / deviceCount)]!.id,
          to: costs.devices[link % deviceCount]!.id,
          bytes,
        })),
        bytes: devices.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
        ...(known.length === 0 ? {} : { joules: known.reduce((a, b) => a + b, 0) }),
        unfinished: played.reduce((sum, { at, program }) => sum + program.instructions.length - at, 0),
        spans,
      };
    },
  };
}

function spanOf(
  { program: { device } }: PlayedProgram,
  instruction: Instruction,
  startSeconds: number,
  endSeconds: number,
): Span {
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
