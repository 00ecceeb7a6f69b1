/** A model trained by worker threads of this machine, each with a range of its layers. */
import { createRequire } from 'node:module';

import type { Partition, Roles, Segments } from '@contextlora/lora';
import {
  type BaseFormat,
  type Example,
  type LoraDropout,
  type MicrobatchHeader,
  type MicrobatchTokens,
  type ModelText,
  type OptimizerOptions,
  type TrainingState,
} from '@contextlora/model';
import { createPipelineModel, type PipelineModel, type PipelineModelOptions } from '@contextlora/runtime';
import { startThreads } from '@contextlora/runtime/threads';

import { pipelineSide } from './pipeline-side.js';
import type { ServeLayersOptions } from './serve-layers.js';

export interface ThreadPipelineOptions<Prediction> extends Pick<
  PipelineModelOptions<Example, MicrobatchHeader, MicrobatchTokens, TrainingState, Prediction>,
  'place' | 'stateEverySteps' | 'onEvent'
> {
  /** A model directory or GGUF file, of which each worker reads its layers. */
  readonly modelPath: string;
  readonly base?: BaseFormat;
  /** Names of the workers. */
  readonly devices: readonly string[];
  /** Threads of each native operation in a worker. @default 1 */
  readonly threads?: number;
  readonly text: ModelText;
  readonly partition: Partition;
  readonly segments: Segments;
  readonly optimizer?: OptimizerOptions;
  readonly promptLoss?: boolean;
  readonly dropout?: LoraDropout | undefined;
  readonly maximumNewTokens?: number;
  /** Answers with the segments as they are now. */
  readonly predict: (
    segments: Segments,
    task: string,
    examples: readonly Example[],
    roles?: Roles,
  ) => Promise<readonly Prediction[]>;
  /** Arguments for Node in the workers; those of this process when absent. */
  readonly execArgv?: readonly string[];
}

export interface ThreadPipeline<Prediction> extends PipelineModel<Example, Prediction> {
  /** The segments as the coordinator last had them from all stages: those of now after a hash, a save or a prediction. */
  segments(): Segments;
  /** Ends a worker at once, as if it had crashed. */
  endWorker(device: string): void;
}

export function openThreadPipeline<Prediction>({
  modelPath,
  base,
  devices,
  threads = 1,
  text,
  partition,
  segments,
  optimizer,
  promptLoss = false,
  dropout,
  maximumNewTokens = 128,
  predict,
  execArgv,
  ...options
}: ThreadPipelineOptions<Prediction>): ThreadPipeline<Prediction> {
  const entry = createRequire(import.meta.url).resolve('@contextlora/workloads/stage-worker');
  const workers = startThreads(entry, devices, {
    data: {
      modelPath,
      threads,
      partition,
      ...(base === undefined ? {} : { base }),
      ...(optimizer ? { optimizer } : {}),
    } satisfies ServeLayersOptions,
    ...(execArgv ? { execArgv } : {}),
  });
  let current = segments;
  const pipeline = createPipelineModel({
    ...options,
    transport: workers.transport,
    devices,
    model: pipelineSide({
      text,
      partition,
      segments,
      promptLoss,
      dropout,
      maximumNewTokens,
      predict,
      ...(optimizer?.clipNorm === undefined ? {} : { clipNorm: optimizer.clipNorm }),
      onSegments(now) {
        current = now;
      },
    }),
    endWorker(device) {
      workers.end(device);
    },
    reasonOf: (device) => workers.reasonOf(device)?.message,
  });
  return {
    ...pipeline,
    segments: () => current,
    endWorker(device) {
      workers.end(device);
    },
    async [Symbol.asyncDispose]() {
      await pipeline[Symbol.asyncDispose]();
      await workers[Symbol.asyncDispose]();
    },
  };
}
