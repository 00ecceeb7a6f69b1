export { carriedMetrics, readMetrics } from './change/carried-metrics.js';
export {
  openChangeDirectory,
  type ChangeDirectory,
  type ChangeDirectoryOptions,
} from './change/change-directory.js';
export {
  changedSettingKeys,
  changeSettings,
  type ChangedSettings,
  type ChangeSettingsOptions,
} from './change/change-settings.js';
export { checkChange } from './change/check-change.js';
export { dataReach } from './change/data-reach.js';
export {
  planChange,
  trainedByChange,
  type ChangePlan,
  type RetrainedTask,
  type RunVersion,
} from './change/plan-change.js';
export { certifyTasks, prepareChange, type PrepareChangeOptions } from './change/prepare-change.js';
export { historyFile, readHistory, writeHistory, type RunChange } from './change/run-history.js';
export { type ChangedRun, writeChange } from './change/write-change.js';
export type { ChildDataSettings, ParentAnswers } from './data/child-data.js';
export { exampleOfGraph, trainingExamples } from './data/examples.js';
export {
  fitRows,
  type FitRowsOptions,
  type FittedData,
  type LongRowChange,
  type LongRows,
  type TruncationSide,
} from './data/fit-rows.js';
export { rowLimitsOf, type RowLimits } from './data/row-limits.js';
export { trainingSource, type TrainingSourceOptions } from './data/training-source.js';
export {
  readDataOfTasks,
  readTaskData,
  type ReadTaskDataOptions,
  readTaskFile,
} from './data/read-task-data.js';
export { readTestSets, type ReadTestSetsOptions } from './data/read-test-sets.js';
export { soundSamples } from './data/check-files.js';
export {
  imagesOf,
  soundsOf,
  mainTestOf,
  mainTestRows,
  type ReadTaskData,
  type RowSource,
  type SplitSources,
  type TaskData,
  type TaskSplits,
} from './data/task-data.js';
export { FinetuneError, type FinetuneErrorCode } from './finetune-error.js';
export type { DecisionResult, RunReport, TaskResult } from './report/run-report.js';
export { taskResults, type Evaluations } from './report/task-results.js';
export { answerQuestion, type AnswerLine, type QuestionOptions } from './run/answer-question.js';
export { answerQuestions, type ComposedAnswer } from './run/answer-questions.js';
export { openQuestionLengths, requireFittingQuestions } from './run/fit-questions.js';
export { questionProblems, type Question, type QuestionChecks } from './run/question.js';
export { readQuestions, type NumberedQuestion } from './run/read-questions.js';
export { evaluateSets, type EvaluationProgress, type SetEvaluation } from './run/evaluate-sets.js';
export {
  compareInspected,
  type InspectedDifference,
  type TensorDifference,
} from './inspect/compare-inspected.js';
export { inspectPath } from './inspect/inspect-path.js';
export type { Inspected, InspectedTensor } from './inspect/inspected.js';
export { evaluateBase } from './run/evaluate-base.js';
export { evaluateTask, type EvaluateTaskOptions, type TaskEvaluation } from './run/evaluate-task.js';
export { openRun, requireTrained, type OpenedRun } from './run/open-run.js';
export type { RunDescription, RunModel } from './run/run-description.js';
export {
  openMetricsFile,
  openRunMetrics,
  openTensorboardFile,
  type MetricsFile,
} from './run/metrics-file.js';
export { openRunDirectory, type RunDirectory, type RunDirectoryOptions } from './run/run-directory.js';
export type {
  AskingParentsEvent,
  EvaluatedEvent,
  EvaluatingEvent,
  MetricsEntry,
  RunEvent,
} from './run/run-event.js';
export { describeInputs, digestRows, type InputSources, type RowProgress } from './run/run-inputs.js';
export {
  recordRun,
  type AccuracyPoint,
  type LossPoint,
  type PhaseCertificate,
  type RecordedEvaluation,
  type RunRecord,
} from './run/run-record.js';
export {
  prepareRun,
  trainRun,
  type PreparedRun,
  type PrepareRunOptions,
  type TrainRunOptions,
} from './run/train-run.js';
export { checkTrainConfig } from './run/check-train-config.js';
export { measureImportance } from './run/measure-importance.js';
export { partitionOfRun } from './run/partition-of-run.js';
export {
  parseTrainConfig,
  readTrainConfig,
  settingFlags,
  type SettingFlag,
} from './run/read-train-config.js';
export { type ByTask, ofTask } from './run/setting-values.js';
export { type TrainConfig, trainConfigJsonSchema } from './run/train-config.js';
export {
  defaultSettings,
  mergeConfigs,
  settingsOf,
  totalSteps,
  type TrainSettings,
} from './run/train-settings.js';
export { writeRun, type FinishedRun, type WrittenFile } from './run/write-run.js';
