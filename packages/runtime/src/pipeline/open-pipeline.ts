/** The workers of a pipeline: sessions with them, the layers that each has open, and what is asked of all. */
import type { Clock } from '../clock/clock.js';
import type { RuntimeError } from '../runtime-error.js';
import type { MicrobatchHeader, StagePhase, StageWork } from '../stage/stage.js';
import type { Transport } from '../transport/transport.js';
import type { LayerRange } from '../worker/commands.js';
import { type DeviceSession, openSession } from './device-session.js';
import type { PlacedPipeline } from './placed-pipeline.js';
import { performAll } from './run-step.js';

export interface OpenedPipeline {
  readonly pipeline: PlacedPipeline;
  /** The stage of a task's lowest trained layer; the number of stages where nothing trains. */
  readonly lowestStage: (task: string) => number;
}

export interface PipelineWorkers<Header extends MicrobatchHeader, Tokens, State> {
  readonly sessions: ReadonlyMap<string, DeviceSession<Header, Tokens, State>>;
  /** Opens the layers and begins the phase on all devices of the pipeline, or goes on with it where it is under way. */
  open(
    pipeline: PlacedPipeline,
    phase: StagePhase,
    about: { readonly state: State; readonly isUnderWay: boolean },
  ): Promise<{ readonly opened: OpenedPipeline; readonly states: readonly State[] }>;
  restore(opened: OpenedPipeline, state: State): Promise<void>;
  /** The states of the stages, in their order. */
  states(opened: OpenedPipeline): Promise<State[]>;
  drop(device: string, reason: RuntimeError): void;
  close(): Promise<void>;
}

export function openPipeline<Header extends MicrobatchHeader, Tokens, State>(
  transport: Transport,
  devices: readonly string[],
  options: {
    readonly clock: Clock;
    readonly silenceSeconds: number;
    readonly firstSeconds: number;
  },
): PipelineWorkers<Header, Tokens, State> {
  const closed = new AbortController();
  let number = 0;
  const sessions = new Map(
    devices.map((device) => [
      device,
      openSession<Header, Tokens, State>(transport, device, {
        ...options,
        signal: closed.signal,
        nextNumber: () => ++number,
      }),
    ]),
  );
  /** What each device has open, as far as is known. */
  const ranges = new Map<string, LayerRange>();

  const restore = async ({ pipeline }: OpenedPipeline, state: State) => {
    await performAll(sessions, devicesOf(pipeline), async (session) => {
      await session.perform({ type: 'restore', state });
    });
  };

  return {
    sessions,
    async open(pipeline, phase, about) {
      const work = new Map<string, Readonly<Record<string, readonly [StageWork, StageWork]>>>();
      const states = new Map<string, State>();
      const rangeOf = new Map(
        pipeline.placement.stages.flatMap(({ members, start, end }) =>
          members.map(({ device }) => [device, { start, end }] as const),
        ),
      );
      await performAll(sessions, devicesOf(pipeline), async (session) => {
        const { device } = session;
        const range = rangeOf.get(device)!;
        const open = ranges.get(device);
        if (open?.start !== range.start || open.end !== range.end) {
          ranges.delete(device);
          await session.perform({ type: 'open', range });
          ranges.set(device, range);
        }
        const { work: own = {}, state } = await session.perform({ type: 'begin', phase, ...about });
        work.set(device, own);
        if (state !== undefined) states.set(device, state);
      });
      const { stages } = pipeline.placement;
      const lowest = new Map(
        phase.tasks.map((task) => {
          const stage = stages.findIndex(({ members }) => work.get(members[0]!.device)?.[task]?.[0].backward);
          return [task, stage < 0 ? stages.length : stage];
        }),
      );
      return {
        opened: { pipeline, lowestStage: (task) => lowest.get(task) ?? stages.length },
        states: stages.flatMap(({ members }) => states.get(members[0]!.device) ?? []),
      };
    },
    restore,
    async states({ pipeline }) {
      const firsts = pipeline.placement.stages.map(({ members }) => members[0]!.device);
      const states = new Map<string, State>();
      await performAll(sessions, firsts, async (session) => {
        const { state } = await session.perform({ type: 'state' });
        if (state !== undefined) states.set(session.device, state);
      });
      return firsts.flatMap((device) => states.get(device) ?? []);
    },
    drop(device, reason) {
      sessions.get(device)?.abandon(reason);
      sessions.delete(device);
      ranges.delete(device);
    },
    async close() {
      await Promise.allSettled([...sessions.values()].map((session) => session.perform({ type: 'close' })));
      closed.abort();
    },
  };
}

const devicesOf = ({ placement }: PlacedPipeline): string[] =>
  placement.stages.flatMap(({ members }) => members.map(({ device }) => device));
