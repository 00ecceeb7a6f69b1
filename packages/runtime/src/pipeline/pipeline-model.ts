/**
 * A model whose layers are on several devices, trained phase by phase: the trainer's `TrainableModel` over workers.
 *
 * The coordinator turns examples into micro-batches, lays out each step, and decides it from the parts of all stages. It keeps the state
 * after the last committed steps and the steps since then, so that when a device is lost the others go on from there.
 */
import { realClock } from '../clock/clock.js';
import { RuntimeError } from '../runtime-error.js';
import type { MicrobatchHeader, StagePhase } from '../stage/stage.js';
import type { Files, Roles } from './model-side.js';
import { type Lanes, openLanes, type StepResult, type TaskStep } from './open-lanes.js';
import { openPipeline, type PipelineWorkers } from './open-pipeline.js';
import type { PipelineDevices, PipelineModelOptions } from './pipeline-options.js';

/** Structurally the trainer's `TrainableModel<Example>`. */
export interface PipelineModel<Example, Prediction> extends AsyncDisposable {
  setPhase(phase: StagePhase): Promise<void>;
  step(
    task: string,
    microBatches: readonly (readonly Example[])[],
    options: { readonly learningRate: number },
  ): Promise<StepResult>;
  /** A step of several siblings at once: micro-batches of those in one pipeline share it, and lanes step side by side. */
  stepTogether(steps: readonly TaskStep<Example>[]): Promise<StepResult[]>;
  predict(task: string, examples: readonly Example[], roles?: Roles): Promise<readonly Prediction[]>;
  hashSegment(task: string): Promise<string>;
  hashOptimizer(task: string): Promise<string | undefined>;
  saveState(): Promise<Files>;
  restoreState(files: Files): Promise<void>;
}

export function createPipelineModel<Example, Header extends MicrobatchHeader, Tokens, State, Prediction>({
  transport,
  devices: given,
  connect = () => Promise.resolve(requireDevices(transport, given)),
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
  type Workers = PipelineWorkers<Header, Tokens, State>;
  let connected: { readonly transport: unknown; readonly workers: Workers; devices: string[] } | undefined;
  let phase: StagePhase | undefined;
  let lanes: Lanes<Example, State> | undefined;
  /** Whether `kept` is of the phase, whose tasks then have optimizer state; before, it is of the phase before. */
  let isUnderWay = false;
  /** The state that all devices had after a committed step, and what has been done since then. */
  let kept: State = model.initial;
  let since: (readonly TaskStep<Example>[])[] = [];
  let runs = 0;
  let broken: Error | undefined;

  const open = (to: PipelineDevices) => ({
    transport: to.transport,
    devices: [...to.devices],
    workers: openPipeline<Header, Tokens, State>(to.transport, to.devices, {
      clock,
      silenceSeconds,
      firstSeconds,
    }),
  });
  if (transport) connected = open(requireDevices(transport, given));
  /** Those who work from now on. */
  const reconnect = async () => {
    if (transport) return connected!;
    const next = await connect(connected?.devices ?? []);
    if (connected?.transport === next.transport) {
      connected.devices = [...next.devices];
      return connected;
    }
    await connected?.workers.close();
    return (connected = open(next));
  };

  const openPhase = async () => {
    if (!phase) return;
    const { workers, devices } = await reconnect();
    // Planning holds up this process, in which connections could not be made.
    await Promise.all(devices.flatMap((device) => workers.sessions.get(device)?.begun ?? []));
    const pipelines = [place(devices, phase.tasks)].flat();
    lanes = await openLanes(pipelines, { phase, state: kept, isUnderWay, workers, model, clock });
    kept = lanes.state;
    isUnderWay = true;
    for (const pipeline of pipelines) onEvent({ type: 'placed', pipeline });
  };

  const take = async (steps: readonly TaskStep<Example>[], withState: boolean): Promise<StepResult[]> => {
    if (!lanes) throw new RuntimeError('RUNTIME_INPUT_INVALID', 'step', 'no phase has been set');
    const nextRun = () => ++runs;
    const { results, measured, state } = await lanes.take(steps, { state: kept, nextRun, withState });
    if (state === undefined) since.push(steps);
    else [kept, since] = [state, []];
    for (const one of measured) onEvent({ type: 'step', measured: one });
    return steps.map(({ task }) => results.get(task)!);
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
        const at = connected?.devices.indexOf(lost ?? '') ?? -1;
        const said = lost === undefined ? undefined : reasonOf(lost);
        const reason = `${messageOf(error)}${said === undefined ? '' : `; it said: ${said}`}`;
        if (lost === undefined || at < 0 || (transport && connected!.devices.length === 1)) {
          broken =
            lost === undefined
              ? (error as Error)
              : new RuntimeError('RUNTIME_PEER_LOST', 'PipelineModel', `${reason}; no device is left`, {
                  device: lost,
                  cause: error,
                });
          throw broken;
        }
        connected!.devices.splice(at, 1);
        connected!.workers.drop(lost, error as RuntimeError);
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
        [kept, since] = [await lanes!.collect(), []];
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
        await lanes?.restore(state);
      });
    },
    async [Symbol.asyncDispose]() {
      await connected?.workers.close();
    },
  };
}

function requireDevices(
  transport: PipelineDevices['transport'] | undefined,
  devices: readonly string[] | undefined,
): PipelineDevices {
  if (transport && devices) return { transport, devices };
  throw new RuntimeError(
    'RUNTIME_INPUT_INVALID',
    'createPipelineModel',
    'it needs a transport and devices, or connect',
  );
}

const withoutEmpty = <Example>({ microBatches, ...step }: TaskStep<Example>): TaskStep<Example> => ({
  ...step,
  microBatches: microBatches.filter(({ length }) => length > 0),
});

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/^runtime\/\w+: /, '') : String(error);
