/**
 * A model in this process that is trained phase by phase: the trainer's `TrainableModel` over a loaded base and a partition.
 *
 * The base never changes. Segments are plain arrays; those that train are views of one flat buffer with moments, which exists only during
 * their phase, so that nothing else has optimizer state.
 */
import {
  type LayerMask,
  masksFor,
  type Partition,
  type Role,
  type Roles,
  type Segment,
  type Segments,
} from '@contextlora/lora';
import { hashPartition, hashSegment } from '@contextlora/lora/files';

import { type AnswerPrediction, predictAnswers } from '../answer/predict-answers.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import { type ImageFeatures, openImageFeatures } from '../images/features.js';
import { ModelError } from '../model-error.js';
import { uploadSegments } from '../pass/segments.js';
import { clipStep, layerSquares } from '../stage/clip-step.js';
import { allLayers, layerOfLinear } from '../stage/layer-range.js';
import type { Example } from '../text/example.js';
import { type ActivationCache, openActivationCache } from './activation-cache.js';
import { openPreparation } from './batch-loss.js';
import { hashOptimizerStates } from './hash-optimizer-states.js';
import { type FrozenTensors, openFrozenTensors } from './frozen-tensors.js';
import { type LowerLayersOfPhase, openLowerLayers } from './lower-layers.js';
import {
  applyUpdate,
  momentsOf,
  type OptimizerOptions,
  optimizerOf,
  requireLearningRate,
} from './optimizer.js';
import { decodeState, encodeState } from './state-files.js';
import { stepGradients } from './step-gradients.js';
import { flattenSegments, type TrainedParameters } from './trained-parameters.js';

export interface LocalModelOptions {
  readonly partition: Partition;
  readonly segments: Segments;
  readonly optimizer?: OptimizerOptions;
  /** Image features that several models over one base may share. */
  readonly features?: ImageFeatures;
  /** What the layers below the lowest that trains put out; several models over one base may share it. By default up to 256 MiB are kept. */
  readonly activations?: ActivationCache;
  /** The number of prompts answered at once. */
  readonly predictBatchSize?: number;
  /** The most tokens that a free-text answer is written with, without its end; longer ones are refused in training. @default 128 */
  readonly maximumNewTokens?: number;
  /** Whether a step's loss is over the tokens of the prompts too, and not of the answers alone. @default false */
  readonly promptLoss?: boolean;
}

/**
 * Structurally the trainer's `TrainableModel<Example>`. After its disposal every call is an error, except to dispose it again. A step whose
 * loss or gradient is not finite changes nothing.
 */
export interface LocalModel extends AsyncDisposable {
  setPhase(phase: {
    readonly tasks: readonly string[];
    readonly roles: Readonly<Record<string, Roles>>;
  }): Promise<void>;
  step(
    task: string,
    microBatches: readonly (readonly Example[])[],
    options: { readonly learningRate: number },
  ): Promise<{ loss: number; tokens: number; gradientNorm: number }>;
  predict(task: string, examples: readonly Example[], roles?: Roles): Promise<readonly AnswerPrediction[]>;
  hashSegment(task: string): Promise<string>;
  hashOptimizer(task: string): Promise<string | undefined>;
  saveState(): Promise<Readonly<Record<string, Uint8Array>>>;
  restoreState(files: Readonly<Record<string, Uint8Array>>): Promise<void>;
  readonly features: ImageFeatures;
  /** A copy of all segments in their current state. */
  segments(): Segments;
}

/** What a phase prepares: each trained task's masks and parameters, its examples as tokens, the tensors of frozen segments, and the layers that none changes. */
interface Phase {
  readonly masks: ReadonlyMap<string, readonly LayerMask[]>;
  readonly trained: ReadonlyMap<string, TrainedParameters>;
  readonly prepare: ReturnType<typeof openPreparation>;
  readonly frozen: FrozenTensors;
  readonly lower: LowerLayersOfPhase;
}

/** Makes a trainable model over a loaded base, which several models may share. */
export function createLocalModel(
  model: LoadedModel,
  {
    partition,
    segments: initial,
    optimizer: optimizerOptions,
    features = openImageFeatures(model),
    activations = openActivationCache(),
    predictBatchSize = 64,
    maximumNewTokens = 128,
    promptLoss = false,
  }: LocalModelOptions,
): LocalModel {
  const optimizer = optimizerOf(optimizerOptions);
  const partitionHash = hashPartition(partition);
  const range = allLayers(model.spec);
  const layerOf = layerOfLinear(model.spec);
  let segments = copySegments(initial);
  let isDisposed = false;

  const openPhase = (tasks: readonly string[], rolesOf: (task: string) => Roles): Phase => {
    const masks = new Map(tasks.map((task) => [task, masksFor(partition, rolesOf(task))]));
    const trained = new Map<string, TrainedParameters>();
    for (const task of tasks) {
      const flat = flattenSegments(segments, tasksWith(rolesOf(task), 'train'), momentsOf(optimizer));
      segments = { ...segments, ...flat.segments };
      trained.set(task, flat);
    }
    const changing = new Set(tasks.flatMap((task) => tasksWith(rolesOf(task), 'train')));
    activations.beginPhase();
    return {
      masks,
      trained,
      prepare: openPreparation(model, { maximumNewTokens, promptLoss }),
      frozen: openFrozenTensors(changing),
      lower: openLowerLayers(model, changing),
    };
  };
  let phase = openPhase([], () => ({}));

  const requireOpen = (where: string) => {
    if (isDisposed)
      throw new ModelError('MODEL_INPUT_INVALID', where, 'the model was disposed; create another');
  };

  return {
    features,

    async setPhase({ tasks, roles }) {
      requireOpen('setPhase');
      phase.frozen.dispose();
      phase = openPhase(tasks, (task) => roles[task] ?? {});
      return Promise.resolve();
    },

    async step(task, microBatches, { learningRate }) {
      requireOpen('step');
      const [flat, masks] = [phase.trained.get(task), phase.masks.get(task)];
      if (!flat || !masks)
        throw new ModelError(
          'MODEL_INPUT_INVALID',
          'step',
          `task "${task}" does not train in this phase; setPhase names the tasks that do`,
        );
      requireLearningRate(learningRate, optimizer);
      flat.gradients.fill(0);
      const active = uploadSegments(masks, segments, {
        keptTensors: (frozen, matrices) => phase.frozen.tensorsOf(frozen, matrices),
      });
      const { loss, tokens } = await stepGradients(model, microBatches, flat, {
        prepare: phase.prepare,
        features,
        active: active.byLinear,
        lower: phase.lower.of(task, masks, segments),
        activations,
      }).finally(() => {
        active.dispose();
      });
      const squares = layerSquares(flat.segmentGradients, { range, layerOf });
      const { norm, gradientScale } = clipStep(squares, { loss, clipNorm: optimizer.clipNorm });
      if (gradientScale !== undefined)
        applyUpdate(model.kernels, flat, { learningRate, gradientScale, optimizer });
      return { loss, tokens, gradientNorm: norm };
    },

    async predict(_task, examples, roles) {
      requireOpen('predict');
      const active = roles && uploadSegments(masksFor(partition, roles), segments);
      try {
        return await predictAnswers(model, examples, {
          features,
          segments: active?.byLinear ?? new Map(),
          batchSize: predictBatchSize,
          maximumNewTokens,
        });
      } finally {
        active?.dispose();
      }
    },

    async hashSegment(task) {
      requireOpen('hashSegment');
      const segment = segments[task];
      if (!segment)
        throw new ModelError('MODEL_INPUT_INVALID', 'hashSegment', `there is no segment of task "${task}"`);
      return Promise.resolve(hashSegment(segment));
    },

    async hashOptimizer(task) {
      requireOpen('hashOptimizer');
      // One buffer may hold several segments, where a strategy trains more than the task.
      const states = [...phase.trained.values()].filter((state) => Object.hasOwn(state.segments, task));
      return Promise.resolve(states.length === 0 ? undefined : hashOptimizerStates(states));
    },

    async saveState() {
      requireOpen('saveState');
      return Promise.resolve(
        encodeState({ segments, training: phase.trained, partitionHash, method: optimizer.method }),
      );
    },

    async restoreState(files) {
      requireOpen('restoreState');
      phase.frozen.dispose();
      phase.lower.forget();
      decodeState(files, { segments, training: phase.trained, partitionHash, method: optimizer.method });
      return Promise.resolve();
    },

    segments() {
      requireOpen('segments');
      return copySegments(segments);
    },

    [Symbol.asyncDispose]() {
      isDisposed = true;
      phase.frozen.dispose();
      phase = openPhase([], () => ({}));
      return Promise.resolve();
    },
  };
}

const tasksWith = (roles: Roles, role: Role) => Object.keys(roles).filter((task) => roles[task] === role);

function copySegments(segments: Segments): Segments {
  return Object.fromEntries(
    Object.entries(segments).map(([task, segment]): [string, Segment] => [
      task,
      Object.fromEntries(
        Object.entries(segment).map(([linear, { rank, a, b }]) => [
          linear,
          { rank, a: a.slice(), b: b.slice() },
        ]),
      ),
    ]),
  );
}
