/** A stage in this process. */
import { dispose, tensor2d } from '@contextlora/kernels/tfjs';

import type { LoadedLayers } from '../checkpoint/loaded-layers.js';
import { openImageFeatures } from '../images/features.js';
import { ModelError } from '../model-error.js';
import { type OutputGradients, rangeBackward, rangeWeightGradients } from '../pass/range-pass.js';
import { includes, layerOfLinear } from '../spec/layer-range.js';
import { openActivationCache } from '../training/activation-cache.js';
import { addGradients, disposeGradients } from '../training/gradients.js';
import { applyUpdate, optimizerOf, requireLearningRate } from '../training/optimizer.js';
import type { ActiveSegments } from './active-segments.js';
import { allOrNothing } from './all-or-nothing.js';
import { cacheKeys } from './cached-input.js';
import { layerSquares } from './clip-step.js';
import type { MicrobatchHeader } from './microbatch.js';
import type { MicrobatchKey, StageExecutor, StageExecutorOptions } from './stage-executor.js';
import { type StageForward, stageForward } from './stage-forward.js';
import { openStagePhase, type TaskInPhase } from './stage-phase.js';
import { segmentsOfMicrobatch } from './microbatch-segments.js';
import { copySegments, copyState, takeState } from './training-state.js';

/** What is kept of a micro-batch between its forward and its backward pass. */
interface InFlight extends Pick<StageForward, 'pass'> {
  readonly key: string;
  /** Until the backward pass takes it over. */
  dTop: StageForward['dTop'];
  readonly header: MicrobatchHeader;
  readonly lowest: number;
  /** The active segments, with what this micro-batch leaves out. */
  readonly segments: ActiveSegments['byLinear'];
  /** Lets go of the active segments. */
  readonly release: () => void;
  /** What `backwardInput` left. */
  outputs?: OutputGradients;
}

const keyOf = ({ task, microbatch }: MicrobatchKey) => `${microbatch} ${task}`;
const invalid = (where: string, what: string) => new ModelError('MODEL_INPUT_INVALID', where, what);

/** Makes a stage of layers in memory, which several stages and models may share. */
export function createStageExecutor(
  layers: LoadedLayers,
  {
    partition,
    segments,
    optimizer: optimizerOptions,
    features = openImageFeatures(layers),
    activations = openActivationCache(),
  }: StageExecutorOptions,
): StageExecutor {
  const { spec, kernels, range } = layers;
  const optimizer = optimizerOf(optimizerOptions);
  const layerOf = layerOfLinear(spec);
  const own = new Set([...layerOf].flatMap(([linear, layer]) => (includes(range, layer) ? [linear] : [])));
  const inFlight = new Map<string, InFlight>();
  let phase = openStagePhase(
    partition,
    { tasks: [], roles: {} },
    { range, layerOf, optimizer, segments: copySegments(segments, own) },
  );

  const taskNamed = (task: string, where: string): TaskInPhase => {
    const found = phase.tasks.get(task);
    if (found) return found;
    throw invalid(where, `task "${task}" does not train in this phase; setPhase names the tasks that do`);
  };
  const drop = (flight: InFlight) => {
    inFlight.delete(flight.key);
    flight.pass.dispose();
    const { outputs, dTop } = flight;
    dispose([dTop, outputs?.connector].filter((tensor) => tensor !== undefined && tensor !== null));
    for (const layer of outputs?.layers ?? []) dispose(Object.values(layer));
    flight.release();
  };
  const dropAll = (of?: string) => {
    for (const flight of inFlight.values()) if (of === undefined || flight.header.task === of) drop(flight);
  };

  const back = async (
    of: MicrobatchKey,
    outputGradient: Float32Array | undefined,
    { where, later }: { where: string; later: boolean },
  ) => {
    const task = taskNamed(of.task, where);
    const flight = inFlight.get(keyOf(of));
    if (!flight || flight.outputs)
      throw invalid(
        where,
        `micro-batch ${of.microbatch} of "${of.task}" is not in flight, or its gradient is known`,
      );
    const { pass, header, lowest, segments: active } = flight;
    const shape: [number, number] = [header.batch * header.time, spec.text.hiddenSize];
    if (!flight.dTop && outputGradient?.length !== shape[0] * shape[1])
      throw invalid(
        where,
        `there are ${outputGradient?.length ?? 0} gradients of hidden values, expected ${shape[0] * shape[1]}`,
      );
    const { dx, gradients, outputs } = allOrNothing(() =>
      rangeBackward(layers, pass, flight.dTop ?? tensor2d(outputGradient!, shape), {
        segments: active,
        lowest,
        later,
      }),
    );
    flight.dTop = null;
    if (later && task.trains(header.hasImages)) flight.outputs = outputs;
    else {
      await add(task, active, gradients);
      drop(flight);
    }
    if (!dx) return undefined;
    const values = (await dx.data()) as Float32Array;
    dispose(dx);
    return values;
  };
  const begin = (task: TaskInPhase) => {
    task.trained.gradients.fill(0);
    task.isFresh = true;
  };

  return {
    range,
    features,

    setPhase(next) {
      dropAll();
      phase.forgetTensors({ all: true });
      activations.beginPhase();
      phase = openStagePhase(partition, next, { range, layerOf, optimizer, segments: phase.segments });
      return Promise.resolve();
    },

    work(name, { hasImages }) {
      const task = taskNamed(name, 'work');
      const lowest = task.lowest(hasImages);
      return {
        backward: lowest < range.end,
        trains: task.trains(hasImages),
        inputGradient: lowest < range.start,
      };
    },

    holds(header) {
      const keys = cacheKeys(layers, header, taskNamed(header.task, 'holds').lowest(header.hasImages));
      return keys !== undefined && activations.has(keys);
    },

    async forward(microbatch, header, input) {
      const task = taskNamed(header.task, 'forward');
      const key = keyOf({ task: header.task, microbatch });
      if (inFlight.has(key))
        throw invalid('forward', `micro-batch ${microbatch} of "${header.task}" is in flight`);
      const lowest = task.lowest(header.hasImages);
      const active = task.active();
      const release = active.hold();
      try {
        const used = segmentsOfMicrobatch(layers, header, input, {
          segments: active.byLinear,
          step: task.trained.step,
        });
        const { output, ...kept } = await stageForward(layers, header, input, {
          lowest,
          segments: used,
          cache: activations,
          features,
        });
        const flight = { ...kept, key, header, lowest, segments: used, release };
        inFlight.set(key, flight);
        if (lowest >= range.end) drop(flight);
        return output;
      } catch (error) {
        release();
        throw error;
      }
    },

    backward: (of, outputGradient) => back(of, outputGradient, { where: 'backward', later: false }),
    backwardInput: (of, outputGradient) => back(of, outputGradient, { where: 'backwardInput', later: true }),

    async backwardWeight(of) {
      const task = taskNamed(of.task, 'backwardWeight');
      const flight = inFlight.get(keyOf(of));
      const outputs = flight?.outputs;
      if (!flight || !outputs)
        throw invalid(
          'backwardWeight',
          `micro-batch ${of.microbatch} of "${of.task}" has had no backwardInput`,
        );
      const { pass, segments: active } = flight;
      const gradients = allOrNothing(() => rangeWeightGradients(layers, pass, outputs, { segments: active }));
      await add(task, active, gradients);
      drop(flight);
    },

    gradientSquares: (task) =>
      layerSquares(taskNamed(task, 'gradientSquares').trained.segmentGradients, { range, layerOf }),

    gradients: (task) => taskNamed(task, 'gradients').trained.gradients,

    update(name, { learningRate, gradientScale }) {
      const task = taskNamed(name, 'update');
      requireLearningRate(learningRate, optimizer);
      if (!(gradientScale >= 0 && gradientScale < Infinity))
        throw invalid(
          'update',
          `the factor of the gradient is ${gradientScale}; a step that has none is discarded`,
        );
      const [left] = [...inFlight.values()].filter(({ header }) => header.task === name);
      if (left) throw invalid('update', `a micro-batch of "${name}" is still in flight`);
      applyUpdate(kernels, task.trained, { learningRate, gradientScale, optimizer });
      begin(task);
      phase.forgetTensors();
      return Promise.resolve();
    },

    discard(name) {
      dropAll(name);
      begin(taskNamed(name, 'discard'));
      phase.forgetTensors();
      return Promise.resolve();
    },

    segments: () => phase.segments,
    state: () => copyState(phase.state()),

    restore(state) {
      takeState(phase.state(), state, 'restore');
      dropAll();
      for (const [name, task] of phase.tasks) {
        task.trained.step = state.optimizers[name]?.step ?? 0;
        begin(task);
      }
      phase.forgetTensors({ all: true });
      return Promise.resolve();
    },

    [Symbol.asyncDispose]() {
      dropAll();
      phase.forgetTensors({ all: true });
      return Promise.resolve();
    },
  };
}

/** Adds what a backward pass computed to the task's gradient, and frees it. */
async function add(
  task: TaskInPhase,
  byLinear: ActiveSegments['byLinear'],
  gradients: Parameters<typeof addGradients>[2],
): Promise<void> {
  try {
    await addGradients(task.trained.segmentGradients, byLinear, gradients, { isFirst: task.isFresh });
    task.isFresh = false;
  } finally {
    disposeGradients(gradients);
  }
}
