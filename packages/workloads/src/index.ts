export type { KeptFormat } from './base-bytes.js';
export { graphWorkloads, type GraphWorkloadSettings } from './graph-workloads.js';
export type { SampleShape } from './layer-costs.js';
export { measuredLayer, type MeasuredLayerOptions } from './measured-layer.js';
export {
  type MemoryPrediction,
  predictMemory,
  type PredictMemoryOptions,
  type TaskToPredict,
} from './predict-memory.js';
export {
  type ClusterPipeline,
  type ClusterPipelineOptions,
  openClusterPipeline,
} from './pipeline/cluster-pipeline.js';
export { pipelineSide, type PipelineSideOptions } from './pipeline/pipeline-side.js';
export { placeLanes, type PlaceLanesOptions } from './pipeline/place-lanes.js';
export { serveLayers, type ServeLayersOptions } from './pipeline/serve-layers.js';
export {
  openThreadPipeline,
  type ThreadPipeline,
  type ThreadPipelineOptions,
} from './pipeline/thread-pipeline.js';
export {
  predictTraining,
  type PredictTrainingOptions,
  type RunToPredict,
  type TrainingPrediction,
} from './predict-training.js';
export { profileModel, type ModelProfile, type ProfileModelOptions } from './profile-model.js';
export { sampleShapeOf } from './sample-shape.js';
export { WorkloadsError, type WorkloadsErrorCode } from './workloads-error.js';
export { type TaskTraining, workloadsOf, type WorkloadsOfOptions } from './workloads-of.js';
