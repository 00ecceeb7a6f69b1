export type { ClusterCosts, DeviceCosts } from './cost/cluster-costs.js';
export { type CostModel, openCostModel } from './cost/cost-model.js';
export { durationOf, type StageRange } from './cost/duration.js';
export type { MemoryUse } from './cost/memory.js';
export type { LayerSums, TaskCosts } from './cost/task-costs.js';
export type {
  DeviceExplanation,
  Explanation,
  IntervalExplanation,
  JobExplanation,
  UnusedDevice,
} from './planner/explain.js';
export {
  frontOfCluster,
  type FrontOfCluster,
  type FrontPoint,
  timeEnergyFront,
  type TimeEnergyPoint,
} from './planner/time-energy-front.js';
export { plan } from './planner/plan.js';
export type {
  Plan,
  PlannedAnswer,
  PlannedInterval,
  PlannedJob,
  PlannedPower,
  PlannedTransfer,
} from './planner/planned.js';
export type { PlanOptions } from './planner/plan-options.js';
export {
  planAndSimulate,
  type PlanAndSimulateOptions,
  type SimulatedPlan,
} from './planner/plan-and-simulate.js';
export { scheduleOf, type ScheduleOfOptions } from './planner/schedule-of.js';
export { checkInput } from './problem/check-input.js';
export type {
  Cluster,
  ComputeRates,
  DeviceProfile,
  LinkProfile,
  PowerMode,
  Rate,
  RatePoint,
} from './problem/cluster.js';
export { type ChosenModes, clusterInModes } from './problem/power-modes.js';
export {
  type ClusterFile,
  type MeasuredCluster,
  type MeasuredRecord,
  type Measurement,
  mergeClusters,
  type MergedCluster,
  withMeasured,
} from './problem/measured-cluster.js';
export { applyWhatIf } from './problem/what-if.js';
export { type LayerCost, lowestTrainedLayer, withCachedPrefix, type Workload } from './problem/workload.js';
export { buildSchedule, type BuildScheduleOptions } from './schedule/build-schedule.js';
export type {
  CollectiveInstruction,
  CollectiveOperation,
  ComputeInstruction,
  DeviceProgram,
  Instruction,
  Schedule,
  TransferInstruction,
} from './schedule/schedule.js';
export type { Pass, PassContext } from './schedule/passes/pass.js';
export { memoryOf } from './schedule/memory-of.js';
export type { Member, Placement, Stage } from './schedule/placement.js';
export {
  contextGear,
  contextGearAlternating,
  contextGearAt,
  contextGearDeep,
  contextGearFull,
} from './schedule/policies/context-gear.js';
export { gpipe } from './schedule/policies/gpipe.js';
export { listSchedule, type ListSchedulingOptions } from './schedule/policies/list-scheduling.js';
export { lorapp } from './schedule/policies/lorapp.js';
export {
  oneForwardOneBackward,
  oneForwardOneBackwardDeep,
} from './schedule/policies/one-forward-one-backward.js';
export type { ComputeStep, Policy, PolicyContext } from './schedule/policies/policy.js';
export { policyNamed } from './schedule/policies/policy-named.js';
export type { MemberLoad, SampleShares } from './schedule/sample-shares.js';
export { validateSchedule } from './schedule/validate/validate-schedule.js';
export { type InputProblem, SchedulerError, type SchedulerErrorCode } from './scheduler-error.js';
export { assessPlacement } from './search/assess-placement.js';
export { exactSearch, type ExactSearchResult } from './search/exact-search.js';
export type { Assessment, IntervalProblem, Objective } from './search/interval-problem.js';
export { type LowerBound, lowerBound } from './search/lower-bound.js';
export { type PeriodBound, periodBound } from './search/period-bound.js';
export { type IntervalSearch, searchInterval, type SearchIntervalOptions } from './search/search-interval.js';
export { shareSamples } from './search/share-samples.js';
export { simulate, type SimulateOptions, simulateWith } from './simulate/simulate.js';
export type { DeviceUse, IdleCause, LinkUse, Span, Timeline } from './simulate/timeline.js';
