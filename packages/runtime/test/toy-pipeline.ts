/** A pipeline of toy stages over transports in memory, and the same training on one device. */
import { createHash } from 'node:crypto';

import {
  type Clock,
  createPipelineModel,
  memoryTransports,
  type ModelSide,
  type PipelineEvent,
  type PipelineModel,
  type PlacedPipeline,
  realClock,
  serveStage,
  type StagePhase,
  type Transport,
} from '@contextlora/runtime';
import {
  contextGear,
  type LayerCost,
  type Placement,
  type Policy,
  type Workload,
} from '@contextlora/scheduler';

import {
  initialState,
  numbers,
  type ToyHeader,
  type ToyModel,
  toyStage,
  type ToyState,
} from './toy-stage.js';

export interface ToyExample {
  readonly name: string;
  readonly input: Float32Array;
  readonly target: Float32Array;
}

export const toyExamples = (count: number, width: number, seed = 0): ToyExample[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `${seed}-${i}`,
    input: numbers(width, 1000 + seed * 100 + i),
    target: numbers(width, 5000 + seed * 100 + i),
  }));

const join = (parts: readonly Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));

const hashState = (state: unknown): string =>
  createHash('sha256')
    .update(
      JSON.stringify(state, (_, value: unknown) => (value instanceof Float32Array ? [...value] : value)),
    )
    .digest('hex');

/** Gradients are clipped at 1. */
const clip = (squares: readonly number[], { loss }: { readonly loss: number }) => {
  const norm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  const isFinite = Number.isFinite(loss) && Number.isFinite(norm);
  return { norm, gradientScale: isFinite ? Math.min(1, 1 / (norm + 1e-6)) : undefined };
};

export function toyModelSide(
  model: ToyModel,
): ModelSide<ToyExample, ToyHeader, Float32Array, ToyState, string> {
  return {
    microbatches(task, microBatches) {
      const count = microBatches.flat().length;
      return {
        tokens: count,
        microbatches: microBatches.map((examples) => ({
          header: {
            task,
            hasImages: false,
            rows: examples.length,
            sequences: examples.map(({ name }) => name),
            targets: join(examples.map(({ target }) => target)),
            weight: 1 / count,
          },
          tokens: join(examples.map(({ input }) => input)),
        })),
      };
    },
    clip,
    initial: initialState(model),
    merge(states) {
      const merged: ToyState = { segments: {}, optimizers: {} };
      for (const { segments, optimizers } of states) {
        for (const [task, layers] of Object.entries(segments))
          merged.segments[task] = { ...merged.segments[task], ...layers };
        for (const [task, { step, moments }] of Object.entries(optimizers)) {
          // As a model's stages do, these refuse to be put together after different steps.
          if (step !== (merged.optimizers[task]?.step ?? step))
            throw new Error('the stages have taken different steps');
          merged.optimizers[task] = { step, moments: { ...merged.optimizers[task]?.moments, ...moments } };
        }
      }
      return merged;
    },
    join(lanes) {
      const joined: ToyState = { segments: { ...lanes[0]!.state.segments }, optimizers: {} };
      for (const { state, tasks } of lanes)
        for (const task of tasks) {
          joined.segments[task] = state.segments[task]!;
          joined.optimizers[task] = state.optimizers[task]!;
        }
      return joined;
    },
    encode: (state) => ({ state: new TextEncoder().encode(hashState(state)) }),
    decode: () => initialState(model),
    hashSegment: ({ segments }, task) => hashState(segments[task]),
    hashOptimizer: ({ optimizers }, task) => (optimizers[task] ? hashState(optimizers[task]) : undefined),
    predict: (_, __, examples) => Promise.resolve(examples.map(({ name }) => name)),
  };
}

/** A workload whose costs say what the toy computes. */
function toyWorkload({ width, layers, tasks }: ToyModel, task: string, samples: number): Workload {
  const lowest = tasks[task]!;
  return {
    name: task,
    samples,
    layers: Array.from({ length: layers + 2 }, (_, layer): LayerCost => {
      const trains = layer >= lowest && layer <= layers;
      return {
        name: `layer ${layer}`,
        forwardFlops: layer === 0 ? 0 : 2 * width * width,
        inputFlops: layer > lowest ? 2 * width * width : 0,
        weightFlops: trains ? 2 * width * width : 0,
        parameterBytes: 4 * width * width,
        gradientBytes: trains ? 4 * width * width : 0,
        optimizerBytes: trains ? 12 * width * width : 0,
        activationBytes: 4 * width,
        outputBytes: 4 * width,
      };
    }),
  };
}

export interface ToyPlacementOptions {
  /** First layers of the stages but the first. */
  readonly cuts: readonly number[];
  readonly policy?: Policy;
  /** By stage, the number of its devices; 1 for all when absent. */
  readonly groups?: readonly number[];
}

/** Stages cut as asked, on the devices in their order. */
export function placeToy(
  model: ToyModel,
  devices: readonly string[],
  tasks: readonly string[],
  { cuts, policy = contextGear, groups = [] }: ToyPlacementOptions,
): PlacedPipeline {
  const bounds = [0, ...cuts, model.layers + 2];
  let next = 0;
  const placement: Placement = {
    tasks,
    microbatches: 1,
    stages: bounds.slice(0, -1).map((start, stage) => {
      const count = groups[stage] ?? 1;
      const members = devices.slice(next, (next += count));
      return {
        start,
        end: bounds[stage + 1]!,
        members: members.map((device) => ({ device, share: 1 / count })),
      };
    }),
  };
  return {
    workloads: tasks.map((task) => toyWorkload(model, task, 1)),
    cluster: {
      devices: devices.map((id) => ({ id, flopsPerSecond: 1e9, memoryBytes: 1e9 })),
      links: [{ from: '*', to: '*', bytesPerSecond: 1e8, latencySeconds: 1e-4 }],
    },
    placement,
    policy,
  };
}

/** Serves toy stages in a worker thread. */
export async function serveToy(transport: Transport, model: ToyModel, before?: (what: string) => void) {
  const initial = initialState(model);
  await serveStage(transport, {
    openStage: (range) => Promise.resolve(toyStage(model, range, initial, before ? { before } : {})),
  });
}

export interface ToyPipelineOptions {
  readonly place: (
    devices: readonly string[],
    tasks: readonly string[],
  ) => PlacedPipeline | readonly PlacedPipeline[];
  readonly clock?: Clock;
  readonly firstSeconds?: number;
  readonly stateEverySteps?: number;
  readonly onEvent?: (event: PipelineEvent) => void;
  /** Wraps the transport of a device. */
  readonly wrap?: (transport: Transport & { lose(): void }) => Transport;
  /** Called before every computation of a device. */
  readonly before?: (device: string, what: string) => Promise<void> | void;
  readonly counts?: { forward: number };
}

export interface ToyPipeline {
  readonly pipeline: PipelineModel<ToyExample, string>;
  readonly transports: ReturnType<typeof memoryTransports>;
  /** Ends when all workers have ended. */
  readonly served: Promise<unknown>;
}

export function openToyPipeline(
  model: ToyModel,
  devices: readonly string[],
  {
    place,
    clock = realClock,
    wrap = (transport) => transport,
    before,
    counts,
    ...options
  }: ToyPipelineOptions,
): ToyPipeline {
  const transports = memoryTransports(['coordinator', ...devices]);
  const side = toyModelSide(model);
  const served = devices.map((device) =>
    serveStage(wrap(transports.get(device)!), {
      clock,
      ...(options.firstSeconds === undefined ? {} : { firstSeconds: options.firstSeconds }),
      openStage: (range) =>
        Promise.resolve(
          toyStage(model, range, side.initial, {
            ...(before ? { before: (what: string) => before(device, what) } : {}),
            ...(counts ? { counts } : {}),
          }),
        ),
    }),
  );
  return {
    transports,
    served: Promise.all(served),
    pipeline: createPipelineModel({
      transport: wrap(transports.get('coordinator')!),
      devices,
      model: side,
      place,
      clock,
      ...options,
    }),
  };
}

export interface ToyStep {
  readonly task: string;
  readonly microBatches: readonly (readonly ToyExample[])[];
  readonly learningRate: number;
}

/** The same training without runtime: one stage, step by step. */
export async function trainAlone(model: ToyModel, phase: StagePhase, steps: readonly ToyStep[]) {
  const side = toyModelSide(model);
  const stage = toyStage(model, { start: 0, end: model.layers + 2 }, side.initial);
  await stage.setPhase(phase);
  const results: { loss: number; gradientNorm: number }[] = [];
  for (const { task, microBatches, learningRate } of steps) {
    const { microbatches } = side.microbatches(task, microBatches, { phase, state: side.initial });
    let loss = 0;
    for (const [microbatch, { header, tokens }] of microbatches.entries()) {
      loss += (await stage.forward(microbatch, header, { tokens })).loss!;
      await stage.backward({ task, microbatch });
    }
    const { norm, gradientScale } = clip(await stage.gradientSquares(task), { loss });
    if (gradientScale === undefined) await stage.discard(task);
    else await stage.update(task, { learningRate, gradientScale });
    results.push({ loss, gradientNorm: norm });
  }
  return { results, state: stage.state() };
}
