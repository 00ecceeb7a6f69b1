/** What the coordinator tells a worker, and what a worker reports; plain values, sent as messages. */
import type {
  ExecutedInstruction,
  ProgramInstruction,
  ProgramMicrobatch,
} from '../execute/execute-program.js';
import type { MicrobatchHeader, StagePhase, StageWork } from '../stage/stage.js';

/** Names of the channels between the coordinator and a worker. */
export const channels = {
  commands: 'commands',
  /** Apart from the commands, since it interrupts the one that is being carried out. */
  interruptions: 'interruptions',
  reports: 'reports',
  beats: 'beats',
} as const;

export interface LayerRange {
  readonly start: number;
  readonly end: number;
}

export type Command<Header extends MicrobatchHeader, Tokens, State> =
  /** Load these layers, in place of what was loaded. */
  | { readonly type: 'open'; readonly range: LayerRange }
  | {
      readonly type: 'begin';
      readonly phase: StagePhase;
      /** The segments that the phase begins with. */
      readonly state: State;
      /** Whether the phase goes on from that state, optimizers included. */
      readonly isUnderWay: boolean;
    }
  | { readonly type: 'holds'; readonly headers: readonly Header[] }
  | {
      readonly type: 'run';
      /** The same for all devices of the step, and used once: channels between devices are named for it. */
      readonly run: number;
      readonly program: readonly ProgramInstruction[];
      readonly microbatches: readonly ProgramMicrobatch<Header, Tokens>[];
      readonly window: number;
      /** Whether the state after the step is reported too. */
      readonly withState: boolean;
    }
  /** The answer to the report of a gradient. */
  | { readonly type: 'decide'; readonly task: string; readonly decision: Decision | null }
  | { readonly type: 'state' }
  | { readonly type: 'restore'; readonly state: State }
  | { readonly type: 'close' };

export interface Decision {
  readonly learningRate: number;
  readonly gradientScale: number;
}

/** A command under its number; a later one has a higher number. */
export interface Numbered<Content> {
  readonly number: number;
  readonly content: Content;
}

export type Report<State> =
  | { readonly type: 'loss'; readonly task: string; readonly microbatch: number; readonly loss: number }
  | { readonly type: 'gradient'; readonly task: string; readonly squares: readonly number[] }
  | {
      readonly type: 'failed';
      readonly code: string;
      readonly message: string;
      readonly device: string | null;
    }
  /** The command has been carried out; each kind of command fills what it is asked for. */
  | {
      readonly type: 'done';
      readonly executed?: readonly ExecutedInstruction[];
      readonly state?: State;
      readonly holds?: readonly boolean[];
      /** Task → its work with images, and without. */
      readonly work?: Readonly<Record<string, readonly [withImages: StageWork, without: StageWork]>>;
    };

/** A sign of life. */
export interface Beat {
  /** The worker may be silent for so long from now on. */
  readonly quietSeconds: number;
}
