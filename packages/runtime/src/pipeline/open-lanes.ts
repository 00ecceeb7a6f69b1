/** The lanes of a phase: pipelines on devices of their own, which step side by side. */
import type { Clock } from '../clock/clock.js';
import { RuntimeError } from '../runtime-error.js';
import type { MicrobatchHeader, StagePhase } from '../stage/stage.js';
import { type MeasuredStep, measuredStep } from './measured-step.js';
import type { ModelSide } from './model-side.js';
import type { OpenedPipeline, PipelineWorkers } from './open-pipeline.js';
import { layOutStep, type PlacedPipeline } from './placed-pipeline.js';
import { runStep } from './run-step.js';
import { unitsOf } from './unit-programs.js';

/** Examples of one task for one optimizer step. */
export interface TaskStep<Example> {
  readonly task: string;
  readonly microBatches: readonly (readonly Example[])[];
  readonly learningRate: number;
}

export interface StepResult {
  readonly loss: number;
  readonly tokens: number;
  readonly gradientNorm: number;
}

interface LanesStep<State> {
  /** By task. */
  readonly results: ReadonlyMap<string, StepResult>;
  readonly measured: readonly MeasuredStep[];
  /** After the step, if asked for. */
  readonly state: State | undefined;
}

export interface Lanes<Example, State> {
  readonly pipelines: readonly PlacedPipeline[];
  /** With which the phase goes on. */
  readonly state: State;
  /** A step of some of the phase's tasks: all devices take it, or the coordinator knows of no state after it. */
  take(
    steps: readonly TaskStep<Example>[],
    about: { readonly state: State; readonly nextRun: () => number; readonly withState: boolean },
  ): Promise<LanesStep<State>>;
  restore(state: State): Promise<void>;
  /** The state that the devices have now. */
  collect(): Promise<State>;
}

/** Opens the layers of all pipelines and begins the phase there, or goes on with it where it is under way. */
export async function openLanes<Example, Header extends MicrobatchHeader, Tokens, State, Prediction>(
  pipelines: readonly PlacedPipeline[],
  {
    phase,
    state: before,
    isUnderWay,
    workers,
    model,
    clock,
  }: {
    readonly phase: StagePhase;
    readonly state: State;
    readonly isUnderWay: boolean;
    readonly workers: PipelineWorkers<Header, Tokens, State>;
    readonly model: ModelSide<Example, Header, Tokens, State, Prediction>;
    readonly clock: Clock;
  },
): Promise<Lanes<Example, State>> {
  checkLanes(pipelines, phase.tasks);
  const tasksOf = ({ placement }: PlacedPipeline) => placement.tasks;
  const join = (states: readonly (readonly State[])[]): State => {
    const lanes = pipelines.map((pipeline, lane) => ({
      state: model.merge(states[lane]!),
      tasks: tasksOf(pipeline),
    }));
    if (lanes.length === 1) return lanes[0]!.state;
    if (model.join) return model.join(lanes);
    throw new RuntimeError('RUNTIME_INPUT_INVALID', 'openLanes', 'the model has no join for several lanes');
  };
  const begun = await allOf(
    pipelines.map((pipeline) => {
      const roles = Object.fromEntries(tasksOf(pipeline).map((task) => [task, phase.roles[task] ?? {}]));
      return workers.open(pipeline, { tasks: tasksOf(pipeline), roles }, { state: before, isUnderWay });
    }),
  );
  const opened = begun.map((lane) => lane.opened);

  const takeInLane = async (
    lane: OpenedPipeline,
    steps: readonly TaskStep<Example>[],
    { state, nextRun, withState }: Parameters<Lanes<Example, State>['take']>[1],
  ) => {
    const laidOut = layOutStep(
      lane.pipeline,
      steps.map(({ task, microBatches }) => ({ task, sizes: microBatches.map(({ length }) => length) })),
    );
    const units = unitsOf(laidOut.costs, laidOut.placement);
    const isDivided = laidOut.placement.stages.some(({ members }) => members.length > 1);
    const tokens = new Map<string, number>();
    const turns = steps.map(({ task, microBatches, learningRate }) => {
      const sizes = units.flatMap((unit) => (unit.task === task ? [unit.samples] : []));
      const cutBatches = isDivided ? cut(microBatches.flat(), sizes) : microBatches;
      const made = model.microbatches(task, cutBatches, { phase, state });
      tokens.set(task, made.tokens);
      return { task, learningRate, microbatches: made.microbatches };
    });
    const startSeconds = clock.now();
    const { results, executed, states } = await runStep(turns, {
      sessions: workers.sessions,
      step: laidOut,
      lowestStage: lane.lowestStage,
      clip: model.clip,
      window: laidOut.schedule.window,
      run: nextRun(),
      withState,
    });
    return {
      states,
      results: steps.map(({ task }) => [task, { ...results.get(task)!, tokens: tokens.get(task)! }] as const),
      measured: measuredStep(laidOut, { executed, startSeconds, endSeconds: clock.now() }),
    };
  };

  return {
    pipelines,
    state: join(begun.map(({ states }) => states)),
    async take(steps, about) {
      const work = opened.flatMap((lane) => {
        const own = steps.filter(({ task }) => tasksOf(lane.pipeline).includes(task));
        return own.length === 0 ? [] : [{ lane, own }];
      });
      const taken = await allOf(work.map(({ lane, own }) => takeInLane(lane, own, about)));
      // A lane whose tasks are done has nothing to tell, but its state counts.
      const statesOf = async (lane: OpenedPipeline) =>
        taken[work.findIndex((one) => one.lane === lane)]?.states ?? (await workers.states(lane));
      return {
        results: new Map(taken.flatMap(({ results }) => results)),
        measured: taken.map(({ measured }) => measured),
        state: about.withState ? join(await allOf(opened.map(statesOf))) : undefined,
      };
    },
    async restore(state) {
      await allOf(opened.map((lane) => workers.restore(lane, state)));
    },
    collect: async () => join(await allOf(opened.map((lane) => workers.states(lane)))),
  };
}

/** All values. A lane that goes on after another has failed would answer the commands of the next attempt, so all are waited for. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(promises);
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

function checkLanes(pipelines: readonly PlacedPipeline[], tasks: readonly string[]): void {
  const devices = pipelines.flatMap(({ placement }) =>
    placement.stages.flatMap(({ members }) => members.map(({ device }) => device)),
  );
  const placed = pipelines.flatMap(({ placement }) => placement.tasks);
  const problems = [
    ...(new Set(devices).size < devices.length ? ['a device is in two places'] : []),
    ...(placed.length === tasks.length && tasks.every((task) => placed.includes(task))
      ? []
      : [`the tasks ${tasks.join(', ')} are placed as ${placed.join(', ')}`]),
  ];
  if (problems.length > 0) throw new RuntimeError('RUNTIME_INPUT_INVALID', 'place', problems.join('; '));
}

function cut<T>(items: readonly T[], sizes: readonly number[]): T[][] {
  let at = 0;
  return sizes.map((size) => items.slice(at, (at += size)));
}
