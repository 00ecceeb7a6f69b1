/** One optimizer step on all devices of a pipeline: all of them take it, or none. */
import { groupBy } from '../group-by.js';
import { RuntimeError } from '../runtime-error.js';
import type { ExecutedInstruction } from '../execute/execute-program.js';
import type { MicrobatchHeader } from '../stage/stage.js';
import type { Decision } from '../worker/commands.js';
import type { DeviceSession } from './device-session.js';
import type { LaidOutStep } from './placed-pipeline.js';
import { type Unit, unitPrograms, unitsOf } from './unit-programs.js';

/** A micro-batch as the model prepares it: what all stages are told, and what the first one reads. */
export interface PreparedMicrobatch<Header, Tokens> {
  readonly header: Header;
  readonly tokens: Tokens;
}

/** One task's part of a step. */
export interface Turn<Header, Tokens> {
  readonly task: string;
  readonly learningRate: number;
  /** One for each unit of the task. */
  readonly microbatches: readonly PreparedMicrobatch<Header, Tokens>[];
}

/** From the parts of all stages to what the optimizer does; `gradientScale` is undefined where a number is not finite. */
export type Clip = (
  gradientSquares: readonly number[],
  about: { readonly loss: number },
) => { readonly norm: number; readonly gradientScale: number | undefined };

export interface RunStepOptions<Header extends MicrobatchHeader, Tokens, State> {
  readonly sessions: ReadonlyMap<string, DeviceSession<Header, Tokens, State>>;
  readonly step: LaidOutStep;
  /** The stage of a task's lowest trained layer. */
  readonly lowestStage: (task: string) => number;
  readonly clip: Clip;
  readonly window: number;
  /** A number that no other step has had. */
  readonly run: number;
  readonly withState: boolean;
}

export interface StepOutcome<State> {
  /** By task. */
  readonly results: ReadonlyMap<string, { readonly loss: number; readonly gradientNorm: number }>;
  /** By device. */
  readonly executed: ReadonlyMap<string, readonly ExecutedInstruction[]>;
  /** Of the first device of every stage, if asked for. */
  readonly states: readonly State[];
}

export async function runStep<Header extends MicrobatchHeader, Tokens, State>(
  turns: readonly Turn<Header, Tokens>[],
  { sessions, step, lowestStage, clip, window, run, withState }: RunStepOptions<Header, Tokens, State>,
): Promise<StepOutcome<State>> {
  const { costs, placement, schedule } = step;
  const units = unitsOf(costs, placement);
  const turnOf = new Map(turns.map((turn) => [turn.task, turn]));
  const preparedOf = ({ task, index }: Unit) => turnOf.get(task)!.microbatches[index]!;
  const held = await heldUnits(units, sessions, lowestStage, (unit) => preparedOf(unit).header);
  const programs = unitPrograms(schedule, { units, isHeld: (unit) => held.has(unit), lowestStage });

  const firsts = placement.stages.map(({ members }) => members[0]!.device);
  const updating = new Map(
    turns.map(({ task }) => [
      task,
      [...programs].flatMap(([device, program]) =>
        program.some((one) => one.type === 'update' && one.task === task) ? [device] : [],
      ),
    ]),
  );
  const losses = new Map(turns.map(({ task }) => [task, new Map<number, number>()]));
  const squares = new Map(turns.map(({ task }) => [task, new Map<string, readonly number[]>()]));
  const results = new Map<string, { loss: number; gradientNorm: number }>();
  const decideIfWhole = async (task: string) => {
    const [lossOf, squaresOf, turn] = [losses.get(task)!, squares.get(task)!, turnOf.get(task)!];
    const trained = updating.get(task)!;
    if (results.has(task) || lossOf.size < turn.microbatches.length || squaresOf.size < trained.length)
      return;
    // In the order of micro-batches and stages, whichever came first.
    const loss = turn.microbatches.reduce((sum, _, microbatch) => sum + lossOf.get(microbatch)!, 0);
    const { norm, gradientScale } = clip(
      firsts.flatMap((device) => squaresOf.get(device) ?? []),
      { loss },
    );
    results.set(task, { loss, gradientNorm: norm });
    const decision: Decision | null =
      gradientScale === undefined ? null : { learningRate: turn.learningRate, gradientScale };
    await Promise.all(
      trained.map((device) => sessions.get(device)!.tell({ type: 'decide', task, decision })),
    );
  };

  const executed = new Map<string, readonly ExecutedInstruction[]>();
  const states = new Map<string, State>();
  await performAll(sessions, [...programs.keys()], async (session) => {
    const { device } = session;
    const mine = units.filter(({ devices }) => devices.includes(device));
    const isFirst = (unit: Unit) => unit.devices[0] === device;
    const deciding: Promise<void>[] = [];
    const done = await session.perform(
      {
        type: 'run',
        run,
        program: programs.get(device)!,
        microbatches: mine.map((unit) => {
          const { header, tokens } = preparedOf(unit);
          return { microbatch: unit.index, header, ...(isFirst(unit) ? { tokens } : {}) };
        }),
        window,
        withState: withState && firsts.includes(device),
      },
      (report) => {
        if (report.type === 'loss') losses.get(report.task)!.set(report.microbatch, report.loss);
        else squares.get(report.task)!.set(device, report.squares);
        const decision = decideIfWhole(report.task);
        decision.catch(() => undefined);
        deciding.push(decision);
      },
    );
    await Promise.all(deciding);
    executed.set(device, done.executed ?? []);
    if (done.state !== undefined) states.set(device, done.state);
  });
  return { results, executed, states: firsts.flatMap((device) => states.get(device) ?? []) };
}

/** Asks the stages of the lowest trained layers what is in their caches, where that saves other stages work. */
async function heldUnits<Header extends MicrobatchHeader, Tokens, State>(
  units: readonly Unit[],
  sessions: ReadonlyMap<string, DeviceSession<Header, Tokens, State>>,
  lowestStage: (task: string) => number,
  headerOf: (unit: Unit) => Header,
): Promise<Set<Unit>> {
  const asked = groupBy(
    units.filter(({ task }) => lowestStage(task) > 0),
    ({ task, devices }) => devices[lowestStage(task)]!,
  );
  const held = new Set<Unit>();
  await performAll(sessions, [...asked.keys()], async (session) => {
    const own = asked.get(session.device)!;
    const { holds = [] } = await session.perform({ type: 'holds', headers: own.map(headerOf) });
    for (const [index, unit] of own.entries()) if (holds[index]) held.add(unit);
  });
  return held;
}

/** Does something with several devices at once; when one of them fails the others are stopped, and its error is thrown. */
export async function performAll<Header extends MicrobatchHeader, Tokens, State>(
  sessions: ReadonlyMap<string, DeviceSession<Header, Tokens, State>>,
  devices: readonly string[],
  work: (session: DeviceSession<Header, Tokens, State>) => Promise<void>,
): Promise<void> {
  let first: Error | undefined;
  await Promise.allSettled(
    devices.map(async (device) => {
      try {
        const session = sessions.get(device);
        if (!session)
          throw new RuntimeError('RUNTIME_INPUT_INVALID', 'PipelineModel', `there is no worker "${device}"`);
        await work(session);
      } catch (error) {
        if (first !== undefined) return;
        first = error instanceof Error ? error : new Error(String(error));
        for (const other of devices) if (other !== device) sessions.get(other)?.interrupt();
      }
    }),
  );
  if (first !== undefined) throw first;
}
