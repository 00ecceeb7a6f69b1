/**
 * A small real stage in plain numbers: an embedding that passes tokens on, linear layers with one trainable matrix for each task, and a head
 * with a squared loss. It computes in float32, so that the order of additions shows in the last bit.
 */
import type { MicrobatchHeader, Stage, StagePhase, StageWork } from '@contextlora/runtime';

export interface ToyHeader extends MicrobatchHeader {
  readonly rows: number;
  /** Names the content of each row, for the cache. */
  readonly sequences: readonly string[];
  readonly targets: Float32Array;
  readonly weight: number;
}

type Matrices = Record<string, Record<number, Float32Array>>;

export interface ToyState {
  readonly segments: Matrices;
  readonly optimizers: Record<
    string,
    { readonly step: number; readonly moments: Record<number, Float32Array> }
  >;
}

export interface ToyModel {
  readonly width: number;
  /** Decoder layers; with the embedding and the head there are two more. */
  readonly layers: number;
  /** Task → the lowest layer that has a matrix of it. */
  readonly tasks: Readonly<Record<string, number>>;
}

/** Numbers between −0.5 and 0.5 that look random. */
export function numbers(count: number, seed: number): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
}

export function initialState({ width, layers, tasks }: ToyModel): ToyState {
  const segments: Matrices = {};
  for (const [index, [task, lowest]] of Object.entries(tasks).entries()) {
    segments[task] = {};
    for (let layer = lowest; layer <= layers; layer++)
      segments[task][layer] = numbers(width * width, 100 * (index + 1) + layer).map((x) => x / 10);
  }
  return { segments, optimizers: {} };
}

interface Saved {
  /** By layer, its input. */
  readonly inputs: Map<number, Float32Array>;
  gradient: Float32Array | undefined;
  readonly outputs: Map<number, Float32Array>;
}

interface ToyStageOptions {
  /** Called before every computation; may throw, or take its time. */
  readonly before?: (what: string) => Promise<void> | void;
  /** Counts the layers computed forward. */
  readonly counts?: { forward: number };
}

export function toyStage(
  { width, layers, tasks }: ToyModel,
  range: { readonly start: number; readonly end: number },
  initial: ToyState,
  { before = () => undefined, counts = { forward: 0 } }: ToyStageOptions = {},
): Stage<ToyHeader, Float32Array, ToyState> {
  const own = (layer: number) => layer >= range.start && layer < range.end && layer >= 1 && layer <= layers;
  const segments: Matrices = {};
  let optimizers: Record<string, { step: number; moments: Record<number, Float32Array> }> = {};
  let gradients: Record<string, Float32Array> = {};
  let phase: StagePhase = { tasks: [], roles: {} };
  const saved = new Map<string, Saved>();
  const cache = new Map<string, Float32Array>();
  const take = (state: ToyState) => {
    for (const [task, matrices] of Object.entries(state.segments)) {
      segments[task] ??= {};
      for (const [layer, values] of Object.entries(matrices))
        if (own(Number(layer))) segments[task][Number(layer)] = values.slice();
    }
  };
  take(initial);
  const base = (layer: number) => numbers(width * width, layer);
  const rolesIn = (task: string) => phase.roles[task] ?? {};
  const trainedLayers = (task: string) =>
    Object.keys(segments[task] ?? {})
      .map(Number)
      .sort((a, b) => a - b);
  const lowest = (task: string) => tasks[task] ?? Infinity;
  const weights = (task: string, layer: number) => {
    const sum = base(layer);
    for (const [other, role] of Object.entries(rolesIn(task))) {
      const matrix = role === 'mask' ? undefined : segments[other]?.[layer];
      if (matrix) for (let i = 0; i < sum.length; i++) sum[i]! += matrix[i]!;
    }
    return sum;
  };
  const isCached = (header: ToyHeader) =>
    lowest(header.task) >= range.start &&
    lowest(header.task) < range.end &&
    header.sequences.every((sequence) => cache.has(`${header.task} ${sequence}`));
  const work = (task: string): StageWork => ({
    backward: lowest(task) < range.end,
    trains: trainedLayers(task).length > 0,
    inputGradient: lowest(task) < range.start,
  });
  const keyOf = ({ task, microbatch }: { task: string; microbatch: number }) => `${task} ${microbatch}`;

  const weightGradients = (task: string, { inputs, outputs }: Saved) => {
    let at = 0;
    for (const layer of trainedLayers(task)) {
      const [x, dy] = [inputs.get(layer)!, outputs.get(layer)!];
      for (let row = 0; row * width < x.length; row++)
        for (let i = 0; i < width; i++)
          for (let j = 0; j < width; j++)
            gradients[task]![at + i * width + j]! += x[row * width + i]! * dy[row * width + j]!;
      at += width * width;
    }
  };
  const inputGradients = (task: string, one: Saved, outer: Float32Array | undefined) => {
    let dy = outer ?? one.gradient!;
    const bottom = Math.max(1, range.start);
    for (let layer = Math.min(layers, range.end - 1); layer >= Math.max(bottom, lowest(task)); layer--) {
      one.outputs.set(layer, dy);
      if (layer === lowest(task)) return undefined;
      const w = weights(task, layer);
      dy = product(dy, w, width, true);
    }
    return work(task).inputGradient ? dy : undefined;
  };

  return {
    async setPhase(next) {
      await before('setPhase');
      phase = next;
      saved.clear();
      optimizers = {};
      gradients = {};
      for (const task of next.tasks) {
        const trained = trainedLayers(task);
        optimizers[task] = {
          step: 0,
          moments: Object.fromEntries(trained.map((layer) => [layer, new Float32Array(width * width)])),
        };
        gradients[task] = new Float32Array(trained.length * width * width);
      }
    },
    work,
    holds: isCached,
    async forward(microbatch, header, { tokens, hidden }) {
      await before('forward');
      const { task } = header;
      const keeps = work(task).backward;
      const one: Saved = { inputs: new Map(), outputs: new Map(), gradient: undefined };
      let x = tokens ?? hidden;
      let first = Math.max(1, range.start);
      if (isCached(header)) {
        first = lowest(task);
        x = Float32Array.from(header.sequences.flatMap((sequence) => [...cache.get(`${task} ${sequence}`)!]));
      }
      if (!x) throw new Error('no input');
      for (let layer = first; layer <= Math.min(layers, range.end - 1); layer++) {
        if (layer === lowest(task) && layer > 1)
          for (const [row, sequence] of header.sequences.entries())
            cache.set(`${task} ${sequence}`, x.slice(row * width, (row + 1) * width));
        if (keeps && layer >= lowest(task)) one.inputs.set(layer, x);
        counts.forward += 1;
        x = product(x, weights(task, layer), width, false);
      }
      if (keeps) saved.set(keyOf({ task, microbatch }), one);
      if (range.end <= layers + 1) return { hidden: x };
      let loss = 0;
      one.gradient = x.map((value, i) => {
        const off = value - header.targets[i]!;
        loss += header.weight * 0.5 * off * off;
        return header.weight * off;
      });
      return { loss };
    },
    async backward(key, outputGradient) {
      await before('backward');
      const one = saved.get(keyOf(key))!;
      const dx = inputGradients(key.task, one, outputGradient);
      weightGradients(key.task, one);
      saved.delete(keyOf(key));
      return dx;
    },
    async backwardInput(key, outputGradient) {
      await before('backwardInput');
      const one = saved.get(keyOf(key))!;
      const dx = inputGradients(key.task, one, outputGradient);
      if (!work(key.task).trains) saved.delete(keyOf(key));
      return dx;
    },
    async backwardWeight(key) {
      await before('backwardWeight');
      weightGradients(key.task, saved.get(keyOf(key))!);
      saved.delete(keyOf(key));
    },
    gradientSquares(task) {
      const size = width * width;
      return Promise.resolve(
        trainedLayers(task).map((_, index) =>
          gradients[task]!.subarray(index * size, (index + 1) * size).reduce((sum, g) => sum + g * g, 0),
        ),
      );
    },
    gradients: (task) => gradients[task]!,
    async update(task, { learningRate, gradientScale }) {
      await before('update');
      const optimizer = optimizers[task]!;
      optimizer.step += 1;
      for (const [index, layer] of trainedLayers(task).entries())
        for (let i = 0; i < width * width; i++) {
          const moment = optimizer.moments[layer]!;
          moment[i] = 0.9 * moment[i]! + gradientScale * gradients[task]![index * width * width + i]!;
          segments[task]![layer]![i]! -= learningRate * moment[i]!;
        }
      gradients[task]!.fill(0);
    },
    discard(task) {
      gradients[task]?.fill(0);
      for (const key of saved.keys()) if (key.startsWith(`${task} `)) saved.delete(key);
      return Promise.resolve();
    },
    state: () => structuredClone({ segments, optimizers }),
    restore(state) {
      for (const task of Object.keys(optimizers))
        if (!state.optimizers[task]) throw new Error(`the optimizer of ${task} is missing`);
      take(state);
      cache.clear();
      for (const [task, { step, moments }] of Object.entries(state.optimizers)) {
        const mine = optimizers[task];
        if (!mine) continue;
        mine.step = step;
        for (const layer of trainedLayers(task)) mine.moments[layer] = moments[layer]!.slice();
      }
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** x W, or x Wᵀ. */
function product(x: Float32Array, w: Float32Array, width: number, transposed: boolean): Float32Array {
  return x.map((_, at) => {
    const [row, j] = [Math.floor(at / width), at % width];
    let sum = 0;
    for (let i = 0; i < width; i++)
      sum += x[row * width + i]! * (transposed ? w[j * width + i]! : w[i * width + j]!);
    return sum;
  });
}
