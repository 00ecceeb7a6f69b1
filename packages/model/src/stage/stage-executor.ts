/** One stage of a pipeline: a contiguous range of a model's layers that trains phase by phase. A model on one device is a single stage. */
import type { Partition, Roles, Segments } from '@contextlora/lora';

import type { ImageFeatures } from '../images/features.js';
import type { LayerRange } from '../spec/layer-range.js';
import type { ActivationCache } from '../training/activation-cache.js';
import type { OptimizerOptions } from '../training/optimizer.js';
import type { MicrobatchHeader, MicrobatchTokens } from './microbatch.js';
import type { TrainingState } from './training-state.js';

export interface StageExecutorOptions {
  readonly partition: Partition;
  /** Those of the range's linears are copied, and no others. */
  readonly segments: Segments;
  readonly optimizer?: OptimizerOptions;
  /** Image features of the first stage, which several models over one base may share. */
  readonly features?: ImageFeatures;
  /** What the layers below the lowest that trains put out. By default up to 256 MiB are kept. */
  readonly activations?: ActivationCache;
}

/** A micro-batch in flight. */
export interface MicrobatchKey {
  readonly task: string;
  readonly microbatch: number;
}

/** The first stage gets tokens, every other the hidden values `[batch · time, hidden]` of the one below, or nothing if it `holds` them. */
export interface StageInput {
  readonly tokens?: MicrobatchTokens;
  readonly hidden?: Float32Array;
}

/** The hidden values `[batch · time, hidden]`; from the last stage the loss, in nats. */
export interface StageOutput {
  readonly hidden?: Float32Array;
  readonly loss?: number;
}

/** What a micro-batch of a task needs of a stage after its forward pass. */
export interface StageWork {
  /** Whether there is a backward pass; otherwise nothing is kept. */
  readonly backward: boolean;
  /** Whether something in the stage trains. */
  readonly trains: boolean;
  /** Whether the stage below needs a gradient. */
  readonly inputGradient: boolean;
}

/**
 * Calls are made one after the other, each awaited before the next; micro-batches may be in flight in any number and of several tasks.
 *
 * A task's gradient is the sum over its micro-batches in the order of their backward passes: in that of one device the bytes are those of
 * one device, wherever the model is cut. A call that is not possible throws ModelError (`MODEL_INPUT_INVALID`) and changes nothing.
 */
export interface StageExecutor extends AsyncDisposable {
  readonly range: LayerRange;
  readonly features: ImageFeatures;
  /** Sets the roles; creates fresh optimizer state for the segments that train, and drops all other state and what is in flight. */
  setPhase(phase: {
    readonly tasks: readonly string[];
    readonly roles: Readonly<Record<string, Roles>>;
  }): Promise<void>;
  work(task: string, about: { readonly hasImages: boolean }): StageWork;
  /**
   * Whether the stage has the lowest layer that trains, and the input of that layer for every row in its cache: `forward` then needs no
   * input, and no stage below has to compute.
   */
  holds(header: MicrobatchHeader): boolean;
  /** Computes the stage's output, and keeps what its backward pass needs. */
  forward(microbatch: number, header: MicrobatchHeader, input: StageInput): Promise<StageOutput>;
  /**
   * From the gradient of the output (none on the last stage) that of the input, if the stage below needs it; adds the gradients of what
   * trains, and ends the micro-batch. This is `backwardInput` and `backwardWeight` in one, and computes less than both.
   */
  backward(of: MicrobatchKey, outputGradient?: Float32Array): Promise<Float32Array | undefined>;
  /** The gradient of the input alone; ends the micro-batch if nothing in the stage trains. */
  backwardInput(of: MicrobatchKey, outputGradient?: Float32Array): Promise<Float32Array | undefined>;
  /** Adds the gradients that `backwardInput` left, and ends the micro-batch. */
  backwardWeight(of: MicrobatchKey): Promise<void>;
  /** The sum of the squares of a task's gradient, layer by layer; `clipStep` takes those of all stages in order. */
  gradientSquares(task: string): readonly number[];
  /** A task's gradient, which devices that share the stage's samples add up in place. */
  gradients(task: string): Float32Array;
  /** An optimizer step with the gradient times `gradientScale`, after which the gradient is zero. */
  update(
    task: string,
    step: { readonly learningRate: number; readonly gradientScale: number },
  ): Promise<void>;
  /** Drops a task's gradient and what is in flight, as if its step had not begun. */
  discard(task: string): Promise<void>;
  /** The segments as they are now; the arrays change in training, and nobody else may write into them. */
  segments(): Segments;
  /** A copy. */
  state(): TrainingState;
  /** Takes the range's part of a state, which may be that of all layers; what is in flight is dropped. */
  restore(state: TrainingState): Promise<void>;
}
