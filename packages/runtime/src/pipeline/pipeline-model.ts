/**
 * A model whose layers are on several devices, trained phase by phase: the trainer's `TrainableModel` over workers.
 *
 * The coordinator turns examples into micro-batches, lays out each step, and decides it from the parts of all stages. It keeps the state
 * after the last committed steps and the steps since then, so that when a device is lost the others go on from there.
 */
import { type Clock, realClock } from '../clock/clock.js';
import { RuntimeError } from '../runtime-error.js';
import type { MicrobatchHeader, StagePhase } from '../stage/stage.js';
import type { Transport } from '../transport/transport.js';
import { layOutStep, type PlacedPipeline } from './placed-pipeline.js';
import { type MeasuredStep, measuredStep } from './measured-step.js';
import { openPipeline, type OpenedPipeline } from './open-pipeline.js';
import { type Clip, type PreparedMicrobatch, runStep } from './run-step.js';
import { unitsOf } from './unit-programs.js';

type Files = Readonly<Record<string, Uint8Array>>;
type Roles = StagePhase['roles'][string];

/** What the coordinator knows of a model, which needs none of its layers. */
export interface ModelSide<Example, Header extends MicrobatchHeader, Tokens, State, Prediction> {
  /** The micro-batches of a step; their losses add up to the mean over all examples. */
  microbatches(
    task: string,
    microBatches: readonly (readonly Example[])[],
    about: {
      readonly phase: StagePhase;
      /** Of which the segments that the phase does not train are as they are on the devices. */
      readonly state: State;
    },
  ): { readonly microbatches: readonly PreparedMicrobatch<Header, Tokens>[]; readonly tokens: number };
  readonly clip: Clip;
  /** The state before the first step. */
  readonly initial: State;
  /** The states of all stages as one. */
  merge(states: readonly State[]): State;
  encode(state: State): Files;
  /** The state in files, which has the tasks in training that `like` has. */
  decode(files: Files, like: State): State;
  hashSegment(state: State, task: string): string;
  hashOptimizer(state: State, task: string): string | undefined;
  predict(
    state: State,
    task: string,
    examples: readonly Example[],
    roles?: Roles,
  ): Promise<readonly Prediction[]>;
}

export type PipelineEvent =
  | { readonly type: 'placed'; readonly pipeline: PlacedPipeline }
  | { readonly type: 'step'; readonly measured: MeasuredStep }
  /** A device is lost; the others go on from the last committed step. */
  | { readonly type: 'lost'; readonly device: string; readonly reason: string }
  | { readonly type: 'recovered'; readonly seconds: number; readonly stepsRepeated: number };

export interface PipelineModelOptions<Example, Header extends MicrobatchHeader, Tokens, State, Prediction> {
  /** The coordinator's, which reaches all devices. */
  readonly transport: Transport;
  readonly devices: readonly string[];
  readonly model: ModelSide<Example, Header, Tokens, State, Prediction>;
  /** Decides where the layers go, for the tasks of a phase on the devices that are left. */
  readonly place: (devices: readonly string[], tasks: readonly string[]) => PlacedPipeline;
  /** Steps between two copies of the state on the coordinator; those since the last are repeated when a device is lost. @default 1 */
  readonly stateEverySteps?: number;
  readonly onEvent?: (event: PipelineEvent) => void;
  /** Ends a worker that is lost, where that can be done from here. */
  readonly endWorker?: (device: string) => void;
  /** What a lost worker said when it ended, where that is known. */
  readonly reasonOf?: (device: string) => string | undefined;
  readonly clock?: Clock;
  /** Seconds of silence after which a device is taken for lost. @default 0.6 */
  readonly silenceSeconds?: number;
  /** Silence granted to a worker at its start. @default 60 */
  readonly firstSeconds?: number;
}

/** Examples of one task for one optimizer step. */
export interface TaskStep<Example> {
  readonly task: string;
  readonly microBatches: readonly (readonly Example[])[];
  readonly learningRate: number;
}

interface StepResult {
  readonly loss: number;
  readonly tokens: number;
  readonly gradientNorm: number;
}

/** Structurally the trainer's `TrainableModel<Example>`. */
export interface PipelineModel<Example, Prediction> extends AsyncDisposable {
  setPhase(phase: StagePhase): Promise<void>;
  step(
    task: string,
    microBatches: readonly (readonly Example[])[],
    options: { readonly learningRate: number },
  ): Promise<StepResult>;
  /** A step of several siblings at once, whose micro-batches share the pipeline. */
  stepTogether(steps: readonly TaskStep<Example>[]): Promise<StepResult[]>;
  predict(task: string, examples: readonly Example[], roles?: Roles): Promise<readonly Prediction[]>;
  hashSegment(task: string): Promise<string>;
  hashOptimizer(task: string): Promise<string | undefined>;
  saveState(): Promise<Files>;
  restoreState(files: Files): Promise<void>;
}

export function createPipelineModel<Example, Header extends MicrobatchHeader, Tokens, State, Prediction>({
  transport,
  devices: all,
  model,
  place,
  stateEverySteps = 1,
  onEvent = () => undefined,
  endWorker = () => undefined,
  reasonOf = () => undefined,
  clock = realClock,
  silenceSeconds = 0.6,
  firstSeconds = 60,
}: PipelineModelOptions<Example, Header, Tokens, State, Prediction>): PipelineModel<Example, Prediction> {
  const devices = [...all];
  const workers = openPipeline<Header, Tokens, State>(transport, devices, {
    clock,
    silenceSeconds,
    firstSeconds,
  });
  let phase: StagePhase | undefined;
  let opened: OpenedPipeline | undefined;
  /** Whether `kept` is of the phase, whose tasks then have optimizer state; before, it is of the phase before. */
  let isUnderWay = false;
  /** The state that all devices had after a committed step, and what has been done since then. */
  let kept: State = model.initial;
  let since: (readonly TaskStep<Example>[])[] = [];
  let runs = 0;
  let broken: Error | undefined;

  const openPhase = async () => {
    if (!phase) return;
    const pipeline = place(devices, phase.tasks);
    const begun = await workers.open(pipeline, phase, { state: kept, isUnderWay });
    opened = begun.opened;
    kept = model.merge(begun.states);
    isUnderWay = true;
    onEvent({ type: 'placed', pipeline });
  };

  const take = async (steps: readonly TaskStep<Example>[], withState: boolean): Promise<StepResult[]> => {
    if (!opened || !phase) throw new RuntimeError('RUNTIME_INPUT_INVALID', 'step', 'no phase has been set');
    const current = phase;
    const laidOut = layOutStep(
      opened.pipeline,
      steps.map(({ task, microBatches }) => ({ task, sizes: microBatches.map(({ length }) => length) })),
    );
    const units = unitsOf(laidOut.costs, laidOut.placement);
    const isDivided = laidOut.placement.stages.some(({ members }) => members.length > 1);
    const tokens = new Map<string, number>();
    const turns = steps.map(({ task, microBatches, learningRate }) => {
      const sizes = units.flatMap((unit) => (unit.task === task ? [unit.samples] : []));
      const made = model.microbatches(task, isDivided ? cut(microBatches.flat(), sizes) : microBatches, {
        phase: current,
        state: kept,
      });
      tokens.set(task, made.tokens);
      return { task, learningRate, microbatches: made.microbatches };
    });
    const startSeconds = clock.now();
    const { results, executed, states } = await runStep(turns, {
      sessions: workers.sessions,
      step: laidOut,
      lowestStage: opened.lowestStage,
      clip: model.clip,
      window: laidOut.schedule.window,
      run: ++runs,
      withState,
    });
    if (withState) [kept, since] = [model.merge(states), []];
    else since.push(steps);
    onEvent({
      type: 'step',
      measured: measuredStep(laidOut, { executed, startSeconds, endSeconds: clock.now() }),
    });
    return steps.map(({ task }) => ({ ...results.get(task)!, tokens: tokens.get(task)! }));
  };

  /** Opens the pipeline anew on the devices that are left and repeats the steps since the last state that is kept. */
  const recover = async () => {
    const started = clock.now();
    await openPhase();
    const again = since;
    since = [];
    for (const steps of again) await take(steps, false);
    onEvent({ type: 'recovered', seconds: clock.now() - started, stepsRepeated: again.length });
  };

  /** Does the work, on fewer devices where one is lost meanwhile; any other failure is the end. */
  const surviving = async <T>(work: () => Promise<T>): Promise<T> => {
    if (broken !== undefined) throw broken;
    let mustRecover = false;
    for (;;) {
      const pending = since;
      try {
        if (mustRecover) await recover();
        mustRecover = false;
        return await work();
      } catch (error) {
        if (mustRecover) since = pending;
        const lost =
          error instanceof RuntimeError && error.code === 'RUNTIME_PEER_LOST' ? error.device : undefined;
        const at = devices.indexOf(lost ?? '');
        const said = lost === undefined ? undefined : reasonOf(lost);
        const reason = `${messageOf(error)}${said === undefined ? '' : `; it said: ${said}`}`;
        if (lost === undefined || at < 0 || devices.length === 1) {
          broken =
            lost === undefined
              ? (error as Error)
              : new RuntimeError('RUNTIME_PEER_LOST', 'PipelineModel', `${reason}; no device is left`, {
                  device: lost,
                  cause: error,
                });
          throw broken;
        }
        devices.splice(at, 1);
        workers.drop(lost, error as RuntimeError);
        endWorker(lost);
        onEvent({ type: 'lost', device: lost, reason });
        mustRecover = true;
      }
    }
  };

  /** The state that all devices have now. */
  const collect = async (): Promise<State> => {
    if (since.length > 0)
      await surviving(async () => {
        const states = await workers.states(opened!);
        [kept, since] = [model.merge(states), []];
      });
    return kept;
  };

  const stepTogether = (steps: readonly TaskStep<Example>[]) =>
    surviving(() => take(steps.map(withoutEmpty), since.length + 1 >= stateEverySteps));

  return {
    async setPhase(next) {
      await collect();
      phase = next;
      isUnderWay = false;
      // A device that is lost meanwhile has had the phase opened on the others.
      await surviving(async () => {
        if (!isUnderWay) await openPhase();
      });
    },
    async step(task, microBatches, { learningRate }) {
      const [result] = await stepTogether([{ task, microBatches, learningRate }]);
      return result!;
    },
    stepTogether,
    async predict(task, examples, roles) {
      return await model.predict(await collect(), task, examples, roles);
    },
    async hashSegment(task) {
      return model.hashSegment(await collect(), task);
    },
    async hashOptimizer(task) {
      return model.hashOptimizer(await collect(), task);
    },
    async saveState() {
      return model.encode(await collect());
    },
    async restoreState(files) {
      const state = model.decode(files, kept);
      [kept, since] = [state, []];
      await surviving(async () => {
        if (opened) await workers.restore(opened, state);
      });
    },
    async [Symbol.asyncDispose]() {
      await workers.close();
    },
  };
}

const withoutEmpty = <Example>({ microBatches, ...step }: TaskStep<Example>): TaskStep<Example> => ({
  ...step,
  microBatches: microBatches.filter(({ length }) => length > 0),
});

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/^runtime\/\w+: /, '') : String(error);

function cut<T>(items: readonly T[], sizes: readonly number[]): T[][] {
  let at = 0;
  return sizes.map((size) => items.slice(at, (at += size)));
}
