/**
 * A model in this process that is trained phase by phase: the trainer's `TrainableModel` over a loaded base and a partition, whose layers
 * are one stage.
 *
 * The base never changes. Segments are plain arrays; those that train are views of one flat buffer with moments, which exists only during
 * their phase, so that nothing else has optimizer state.
 */
import { masksFor, type Partition, type Roles, type Segments } from '@contextlora/lora';
import { hashSegment } from '@contextlora/lora/files';

import { type AnswerPrediction, predictAnswers } from '../answer/predict-answers.js';
import type { LoadedModel } from '../checkpoint/load-model.js';
import type { ImageFeatures } from '../images/features.js';
import { ModelError } from '../model-error.js';
import { uploadSegments } from '../pass/segments.js';
import { clipStep } from '../stage/clip-step.js';
import { createStageExecutor } from '../stage/create-stage-executor.js';
import { lowerLayersKey } from '../stage/lower-layers.js';
import { type LoraDropout, openMicrobatches } from '../stage/microbatch.js';
import { copySegments } from '../stage/training-state.js';
import type { Example } from '../text/example.js';
import type { ActivationCache } from './activation-cache.js';
import { hashOptimizerStates } from './hash-optimizer-states.js';
import { type OptimizerOptions, optimizerOf, requireLearningRate } from './optimizer.js';
import { decodeState, encodeState } from './state-files.js';

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
  /** @default none */
  readonly dropout?: LoraDropout;
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

/** Makes a trainable model over a loaded base, which several models may share. */
export function createLocalModel(
  model: LoadedModel,
  {
    partition,
    predictBatchSize = 64,
    maximumNewTokens = 128,
    promptLoss = false,
    dropout,
    ...options
  }: LocalModelOptions,
): LocalModel {
  const optimizer = optimizerOf(options.optimizer);
  const stage = createStageExecutor(model, { ...options, partition });
  const openPreparation = () => openMicrobatches(model, { maximumNewTokens, promptLoss, dropout });
  let prepare = openPreparation();
  let phase: Parameters<LocalModel['setPhase']>[0] = { tasks: [], roles: {} };
  /** Of each task, found at its first step. */
  const lowerKeys = new Map<string, string | undefined>();
  let isDisposed = false;

  const requireOpen = (where: string) => {
    if (isDisposed)
      throw new ModelError('MODEL_INPUT_INVALID', where, 'the model was disposed; create another');
  };
  const lowerKeyOf = (task: string) => {
    if (!lowerKeys.has(task))
      lowerKeys.set(
        task,
        lowerLayersKey(model.spec, partition, { task, roles: phase.roles, segments: stage.segments() }),
      );
    return lowerKeys.get(task);
  };

  return {
    features: stage.features,

    async setPhase(next) {
      requireOpen('setPhase');
      await stage.setPhase(next);
      phase = next;
      // Its tokens are not needed in other phases.
      prepare = openPreparation();
      lowerKeys.clear();
    },

    async step(task, microBatches, { learningRate }) {
      requireOpen('step');
      if (!phase.tasks.includes(task))
        throw new ModelError(
          'MODEL_INPUT_INVALID',
          'step',
          `task "${task}" does not train in this phase; setPhase names the tasks that do`,
        );
      requireLearningRate(learningRate, optimizer);
      const microbatches = prepare(task, microBatches, { lowerKey: lowerKeyOf(task) });
      let loss = 0;
      let tokens = 0;
      try {
        for (const [microbatch, { header, tokens: read }] of microbatches.entries()) {
          const output = await stage.forward(microbatch, header, { tokens: read });
          loss += output.loss ?? NaN;
          for (const length of header.lengths) tokens += length;
          if (stage.work(task, header).backward) await stage.backward({ task, microbatch });
        }
      } catch (error) {
        await stage.discard(task);
        throw error;
      }
      const { norm, gradientScale } = clipStep(stage.gradientSquares(task), {
        loss,
        clipNorm: optimizer.clipNorm,
      });
      await (gradientScale === undefined
        ? stage.discard(task)
        : stage.update(task, { learningRate, gradientScale }));
      return { loss, tokens, gradientNorm: norm };
    },

    async predict(_task, examples, roles) {
      requireOpen('predict');
      const active = roles && uploadSegments(masksFor(partition, roles), stage.segments());
      try {
        return await predictAnswers(model, examples, {
          features: stage.features,
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
      const segment = stage.segments()[task];
      if (!segment)
        throw new ModelError('MODEL_INPUT_INVALID', 'hashSegment', `there is no segment of task "${task}"`);
      return Promise.resolve(hashSegment(segment));
    },

    async hashOptimizer(task) {
      requireOpen('hashOptimizer');
      return Promise.resolve(hashOptimizerStates(stage.state(), task));
    },

    async saveState() {
      requireOpen('saveState');
      return Promise.resolve(encodeState(stage.state(), partition));
    },

    async restoreState(files) {
      requireOpen('restoreState');
      await stage.restore(decodeState(files, stage.state(), partition));
      lowerKeys.clear();
    },

    segments() {
      requireOpen('segments');
      return copySegments(stage.segments());
    },

    async [Symbol.asyncDispose]() {
      isDisposed = true;
      await stage[Symbol.asyncDispose]();
    },
  };
}
