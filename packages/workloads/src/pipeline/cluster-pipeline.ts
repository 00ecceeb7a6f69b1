/** A model trained by devices that come and go, each with a range of its layers. */
import type { Segments } from '@contextlora/lora';
import type {
  Example,
  MicrobatchHeader,
  MicrobatchTokens,
  OptimizerOptions,
  TrainingState,
} from '@contextlora/model';
import { createPipelineModel, type PipelineModel, type PipelineModelOptions } from '@contextlora/runtime';

import { pipelineSide, type PipelineSideOptions } from './pipeline-side.js';

export interface ClusterPipelineOptions<Prediction>
  extends
    Pick<
      PipelineModelOptions<Example, MicrobatchHeader, MicrobatchTokens, TrainingState, Prediction>,
      'place' | 'stateEverySteps' | 'onEvent' | 'silenceSeconds'
    >,
    Omit<PipelineSideOptions<Prediction>, 'onSegments' | 'clipNorm'> {
  /** Who works from now on, of whom `left` are at work; called before every phase and after a loss. */
  readonly connect: NonNullable<
    PipelineModelOptions<Example, MicrobatchHeader, MicrobatchTokens, TrainingState, Prediction>['connect']
  >;
  readonly optimizer?: OptimizerOptions;
}

export interface ClusterPipeline<Prediction> extends PipelineModel<Example, Prediction> {
  /** The segments as the coordinator last had them from all stages: those of now after a hash, a save or a prediction. */
  segments(): Segments;
}

export function openClusterPipeline<Prediction>({
  connect,
  place,
  stateEverySteps,
  onEvent,
  silenceSeconds,
  optimizer,
  ...side
}: ClusterPipelineOptions<Prediction>): ClusterPipeline<Prediction> {
  let current = side.segments;
  const pipeline = createPipelineModel({
    connect,
    place,
    ...(stateEverySteps === undefined ? {} : { stateEverySteps }),
    ...(onEvent ? { onEvent } : {}),
    ...(silenceSeconds === undefined ? {} : { silenceSeconds }),
    model: pipelineSide({
      ...side,
      ...(optimizer?.clipNorm === undefined ? {} : { clipNorm: optimizer.clipNorm }),
      onSegments(now) {
        current = now;
      },
    }),
  });
  return { ...pipeline, segments: () => current };
}
