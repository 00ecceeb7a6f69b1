/** What a stage knows in a phase: each trained task's masks, parameters and gradient, and the tensors of its segments. */
import {
  type LayerMask,
  masksFor,
  type Partition,
  type Role,
  type Roles,
  type Segments,
} from '@contextlora/lora';

import { uploadSegments } from '../pass/segments.js';
import { includes, type LayerRange } from '../spec/layer-range.js';
import { openFrozenTensors } from '../training/frozen-tensors.js';
import { momentsOf, type Optimizer, type OptimizerMethod } from '../training/optimizer.js';
import { flattenSegments, type TrainedParameters, viewsOf } from '../training/trained-parameters.js';
import { type ActiveSegments, openActiveSegments } from './active-segments.js';
import { lowestTrained } from './lower-layers.js';
import { mapMoments, type OptimizerState, type TrainingState } from './training-state.js';

/** A task in training. */
export interface TaskInPhase {
  readonly trained: TrainedParameters;
  /** Whether the gradient is zero. */
  isFresh: boolean;
  /** The lowest layer of the whole model that the task trains. */
  lowest(hasImages: boolean): number;
  /** Whether it trains something in the stage. */
  trains(hasImages: boolean): boolean;
  /** The segments that its passes use, with their current numbers. */
  active(): ActiveSegments;
}

export interface StagePhase {
  readonly tasks: ReadonlyMap<string, TaskInPhase>;
  readonly segments: Segments;
  /** Segments and optimizers as they are; the arrays are those in use. */
  state(): TrainingState;
  /** To be called when numbers have changed: those of frozen segments too, if `all`. */
  forgetTensors(options?: { readonly all?: boolean }): void;
}

/** Opens a phase; the segments that train move into buffers. */
export function openStagePhase(
  partition: Partition,
  { tasks, roles }: { tasks: readonly string[]; roles: Readonly<Record<string, Roles>> },
  {
    range,
    layerOf,
    segments: current,
    optimizer,
  }: { range: LayerRange; layerOf: ReadonlyMap<string, number>; segments: Segments; optimizer: Optimizer },
): StagePhase {
  let segments = current;
  const changing = new Set(tasks.flatMap((task) => tasksWith(roles[task], 'train')));
  const frozen = openFrozenTensors(changing);
  const uploaded = new Map<string, ActiveSegments>();
  const forgetActive = () => {
    for (const active of uploaded.values()) active.retire();
    uploaded.clear();
  };
  const open = (task: string): TaskInPhase => {
    const all = masksFor(partition, roles[task] ?? {});
    const isHere = ({ layer }: LayerMask) => includes(range, layerOf.get(layer) ?? -1);
    const own = all.filter(isHere);
    const trained = flattenSegments(segments, tasksWith(roles[task], 'train'), momentsOf(optimizer));
    segments = { ...segments, ...trained.segments };
    return {
      trained,
      isFresh: true,
      lowest: (hasImages) => lowestTrained(all, layerOf, { hasImages }),
      trains: (hasImages) => lowestTrained(own, layerOf, { hasImages }) < Infinity,
      active() {
        const active =
          uploaded.get(task) ??
          openActiveSegments(
            uploadSegments(own, segments, {
              keptTensors: (owner, matrices) => frozen.tensorsOf(owner, matrices),
            }),
          );
        uploaded.set(task, active);
        return active;
      },
    };
  };
  const opened = new Map(tasks.map((task) => [task, open(task)]));
  return {
    tasks: opened,
    segments,
    state: () => ({
      segments,
      optimizers: Object.fromEntries(
        [...opened].map(([task, { trained }]) => [task, optimizerState(trained, optimizer.method)]),
      ),
    }),
    forgetTensors({ all = false } = {}) {
      forgetActive();
      if (all) frozen.dispose();
    },
  };
}

const optimizerState = (
  { step, segments, moments }: TrainedParameters,
  method: OptimizerMethod,
): OptimizerState => ({
  method,
  trains: Object.keys(segments),
  step,
  moments: mapMoments(moments, (moment) => viewsOf(segments, moment)),
});

const tasksWith = (roles: Roles = {}, role: Role) =>
  Object.keys(roles).filter((task) => roles[task] === role);
