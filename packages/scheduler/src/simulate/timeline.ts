/** The result of a simulation as plain values; times are in seconds from the schedule's start. */
import type { Instruction } from '../schedule/schedule.js';

export interface Span {
  readonly device: string;
  /** What was done; `send…` spans are the time on the air, and the cause of `waiting` is in `cause`. */
  readonly type: Exclude<Instruction['type'], 'receiveActivation' | 'receiveGradient'> | 'waiting';
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly task?: string;
  readonly step?: number;
  readonly microbatch?: number;
  readonly peer?: string;
  readonly bytes?: number;
  readonly cause?: IdleCause;
}

/** Why a device computed nothing. */
export type IdleCause =
  /** its input had not arrived */
  | 'activation'
  /** the gradient from the next stage had not arrived */
  | 'gradient'
  /** the next message had no room: the link or the receiver is slower */
  | 'backpressure'
  /** an exchange with the other devices of its group */
  | 'collective'
  /** it had finished before the others */
  | 'finished'
  /** it was lost */
  | 'lost';

export interface DeviceUse {
  readonly device: string;
  readonly busySeconds: number;
  readonly idleSeconds: Readonly<Record<IdleCause, number>>;
  /** Idle time's share of the makespan. */
  readonly idleFraction: number;
  readonly peakMemoryBytes: number;
  readonly sentBytes: number;
  /** Absent when the device's power is not known. */
  readonly joules?: number;
}

export interface LinkUse {
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
}

export interface Timeline {
  readonly makespanSeconds: number;
  /** When the last device of each placement finished the passes of each step: `[placement][step]`; updates may wait until they are needed. */
  readonly stepEndSeconds: readonly (readonly number[])[];
  readonly devices: readonly DeviceUse[];
  readonly links: readonly LinkUse[];
  /** Over all links, collectives included. */
  readonly bytes: number;
  /** Devices of unknown power count as 0; absent when no device's is known. */
  readonly joules?: number;
  /** Instructions that never ran, because a device was lost. */
  readonly unfinished: number;
  /** In no particular order; empty when not requested. */
  readonly spans: readonly Span[];
}
