export { accuracy, chanceOf, macroAverage } from './accuracy.js';
export type { Checkpoint, CheckpointStore, RunPosition } from './checkpoint.js';
export { composeAnswers, tasksNeeded, type ComposedInput, type ComposeOptions } from './compose-answers.js';
export { fileCheckpoints } from './file-checkpoints.js';
export {
  certifySegments,
  checkCertificate,
  FreezeViolation,
  type CertificateCheck,
  type FreezeCertificate,
} from './freeze-certificate.js';
export { chainGraph, emptyGraph, randomGraph, reversedGraph } from './graph-variants.js';
export { constantRate, warmupCosine, type LearningRate } from './learning-rate.js';
export { planPhases, type Phase, type PlanPhasesOptions } from './plan-phases.js';
export { inferenceRoles, rolesOf, rolesWithoutFreeze, rolesWithoutMask, type RolesOf } from './roles-of.js';
export { sampleBatch } from './sample-batch.js';
export { answerSlots, readTaskRows, TaskDataError, type TaskRow } from './task-rows.js';
export { train, type TrainEvent, type TrainOptions, type TrainReport } from './train.js';
export type { PhaseSetting, Prediction, StepOptions, StepResult, TrainableModel } from './trainable-model.js';
