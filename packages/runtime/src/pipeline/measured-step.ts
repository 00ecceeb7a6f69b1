/** What a step really took, as a timeline like the one that was planned. */
import type { Schedule, Span, Workload } from '@contextlora/scheduler';

import type { ExecutedInstruction } from '../execute/execute-program.js';
import type { LaidOutStep } from './placed-pipeline.js';

export interface MeasuredStep {
  readonly schedule: Schedule;
  readonly workloads: readonly Workload[];
  /** From the moment at which the step was asked for. */
  readonly spans: readonly Span[];
  readonly seconds: number;
}

export function measuredStep(
  { schedule, workloads }: LaidOutStep,
  {
    executed,
    startSeconds: origin,
    endSeconds,
  }: {
    readonly executed: ReadonlyMap<string, readonly ExecutedInstruction[]>;
    readonly startSeconds: number;
    readonly endSeconds: number;
  },
): MeasuredStep {
  const spans = [...executed].flatMap(([device, instructions]) =>
    instructions.flatMap(({ instruction, ...times }): Span[] => {
      const { type, task, step } = instruction;
      const startSeconds = times.startSeconds - origin;
      const readySeconds = times.readySeconds - origin;
      const span = {
        device,
        task,
        step,
        startSeconds,
        endSeconds: times.endSeconds - origin,
        ...('microbatch' in instruction ? { microbatch: instruction.microbatch } : {}),
        ...(times.bytes === undefined ? {} : { bytes: times.bytes }),
      };
      switch (type) {
        case 'receiveActivation':
          return [{ ...span, type: 'waiting', cause: 'activation' }];
        case 'receiveGradient':
          return [{ ...span, type: 'waiting', cause: 'gradient' }];
        case 'sendActivation':
        case 'sendGradient':
          return [{ ...span, type, peer: instruction.peer }];
        case 'update':
          return [
            { ...span, type: 'waiting', cause: 'collective', endSeconds: readySeconds },
            { ...span, type, startSeconds: readySeconds },
          ];
        default:
          return [{ ...span, type, startSeconds: readySeconds }];
      }
    }),
  );
  return { schedule, workloads, spans, seconds: endSeconds - origin };
}
