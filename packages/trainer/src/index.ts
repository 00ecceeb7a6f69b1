export { accuracy, chanceOf, macroAverage } from './answers/accuracy.js';
export {
  type AnswerMode,
  answerParents,
  composeAnswers,
  tasksNeeded,
  type ComposedInput,
  type ComposeOptions,
} from './answers/compose-answers.js';
export {
  measureLabels,
  shareInterval,
  type Calibration,
  type CalibrationBin,
  type LabelMeasures,
} from './answers/label-measures.js';
export type { DataFile, RowUnit } from './answers/data-file.js';
export { checkDataFile, parseTaskRows } from './answers/parse-rows.js';
export type { WriteJsonAnswer } from './answers/read-answer.js';
export type { RowRules } from './answers/read-row.js';
export { answerSlots, type RowList, type TaskRow } from './answers/task-rows.js';
export { chainGraph, emptyGraph, randomGraph, reversedGraph } from './plan/graph-variants.js';
export { planPhases, type Phase, type PlanPhasesOptions } from './plan/plan-phases.js';
export {
  inferenceRoles,
  rolesOf,
  rolesWithoutFreeze,
  rolesWithoutMask,
  type RolesOf,
} from './plan/roles-of.js';
export { TrainerError, type TrainerErrorCode } from './trainer-error.js';
export { checkSettings, stepsOfTask, type RunSettings } from './training/check-settings.js';
export type { Checkpoint, CheckpointStore, RunFingerprint, RunPosition } from './training/checkpoint.js';
export type { ExampleSource } from './training/example-source.js';
export {
  certifyOptimizer,
  certifySegments,
  checkCertificate,
  type CertificateCheck,
  type FreezeCertificate,
} from './training/freeze-certificate.js';
export { type BestState, type KeepBest, splitBest } from './training/best-state.js';
export { balancedBatch } from './training/balanced-batch.js';
export { bucketedBatch } from './training/bucketed-batch.js';
export {
  constantRate,
  scheduleRate,
  warmupCosine,
  type LearningRate,
  type RateOptions,
  type RateShape,
} from './training/learning-rate.js';
export { inputDifferences } from './training/require-same-run.js';
export { sampleBatch, stratifiedBatch, type SampleBatch } from './training/sample-batch.js';
export type { StepEvent, TrainEvent } from './training/train-event.js';
export type {
  Prediction,
  StepOptions,
  StepResult,
  TaskStep,
  TrainableModel,
} from './training/trainable-model.js';
export { train, type TrainOptions, type TrainReport } from './training/train.js';
