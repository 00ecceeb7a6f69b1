export * as benchmarks from '@contextlora/benchmarks';
export * as jetson from '@contextlora/jetson';
export * as kernels from '@contextlora/kernels';
export * as lora from '@contextlora/lora';
export * as model from '@contextlora/model';
export * as scheduler from '@contextlora/scheduler';
export * as taskGraph from '@contextlora/task-graph';
export * as trainer from '@contextlora/trainer';

export {
  workloadsOf,
  type SampleShape,
  type TaskTraining,
  type WorkloadsOfOptions,
} from './seam/workloads-of.js';
export { drawGraph } from './drawings/draw-graph.js';
export { plotLosses, type LossPoint } from './drawings/plot-losses.js';
export { plotFront } from './drawings/plot-front.js';
export { frontOfCluster, type FrontOfCluster, type TimeEnergyPoint } from './plan/time-and-energy.js';
export { drawingFont, renderPng } from './drawings/render-png.js';
export { measuredLayer, type MeasuredLayerOptions } from './seam/measured-layer.js';
export { answerQuestion, type AnswerLine } from './run/answer-question.js';
export { evaluateTask, samePredictions, type TaskEvaluation } from './run/evaluate-task.js';
export { exampleOf, exampleOfGraph, trainingExamples } from './run/examples-of.js';
export { readTaskData, readTaskFile, type TaskData, type TaskRows } from './run/read-task-data.js';
export {
  decisionTable,
  taskTable,
  type DecisionResult,
  type PhaseCertificate,
  type RunReport,
  type TaskResult,
} from './run/run-report.js';
export {
  imagesOf,
  planContextRun,
  trainContextRun,
  type ContextEvent,
  type ContextRun,
  type TrainSettings,
} from './run/train-context.js';
export { writeRun, type RunFiles } from './run/write-run.js';
export { profileMachine, type MachineProfile, type ProfileMachineOptions } from './seam/profile-machine.js';
export {
  type ClusterFile,
  type MeasuredCluster,
  type MeasuredRecord,
  mergeClusters,
  type MergedCluster,
} from './plan/measured-cluster.js';
export { graphWorkloads, planRun, type PlannedRun, type PlanSettings } from './plan/plan-run.js';
export { applyWhatIf } from './plan/what-if.js';
