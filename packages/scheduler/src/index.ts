export {
  buildSchedule,
  type BuildScheduleOptions,
  type DeviceProgram,
  type Pass,
  type PassContext,
  type Schedule,
} from './schedule/build-schedule.js';
export { checkInput } from './problem/check-input.js';
export type { Cluster, ComputeRates, DeviceProfile, LinkProfile, PowerMode } from './problem/cluster.js';
export { type CostModel, durationOf, openCostModel, type StageRange } from './cost/cost-model.js';
export type {
  CollectiveInstruction,
  CollectiveOperation,
  ComputeInstruction,
  Instruction,
  TransferInstruction,
} from './schedule/instruction.js';
export { memoryOf } from './schedule/memory-of.js';
export type { MemoryUse } from './cost/memory.js';
export { validateSchedule } from './schedule/validate/validate-schedule.js';
export { asteroid } from './peers/asteroid.js';
export { zero1, zero2, zero3 } from './peers/data-parallel.js';
export { jora } from './peers/jora.js';
export { peers } from './peers/peers.js';
export {
  deepSpeedPipelineParameters,
  deepSpeedPipelineUniform,
  gpipePipeline,
  mLora,
} from './peers/pipelines.js';
export { computeWeighted, equalSplit, memoryWeighted, singleDevice } from './peers/simple-splits.js';
export {
  type Strategy,
  type StrategyCandidate,
  tuneStrategy,
  type TuneStrategyOptions,
} from './peers/strategy.js';
export type { Member, Placement, SampleDeal, Stage } from './schedule/placement.js';
export {
  describePlacement,
  type DeviceExplanation,
  type Explanation,
  type SegmentExplanation,
  type UnusedDevice,
} from './planner/explain.js';
export { plan, type Plan, type PlannedSegment, type PlannedWave, type PlanOptions } from './planner/plan.js';
export type { PlannedPower } from './planner/plan-with-power.js';
export { type ChosenModes, clusterInModes } from './planner/power-settings.js';
export { scheduleOf } from './planner/schedule-of.js';
export { tellPlan } from './views/describe-plan.js';
export { type FrontPoint, timeEnergyFront } from './planner/time-energy-front.js';
export { wavesOf } from './planner/waves.js';
export { contextGear, contextGearDeep } from './schedule/policies/context-gear.js';
export { gpipe } from './schedule/policies/gpipe.js';
export { listSchedule, type ListSchedulingOptions } from './schedule/policies/list-scheduling.js';
export { lorapp } from './schedule/policies/lorapp.js';
export { oneForwardOneBackward, oneForwardOneBackwardDeep } from './schedule/policies/one-forward-one-backward.js';
export type { ComputeStep, Policy, PolicyContext } from './schedule/policies/policy.js';
export { SchedulerInputError, type InputProblem } from './scheduler-error.js';
export { assessPlacement } from './search/assess-placement.js';
export { exactSearch, type ExactSearchResult } from './search/exact-search.js';
export { type LowerBound, lowerBound } from './search/lower-bound.js';
export { type PeriodBound, periodBound } from './search/period-bound.js';
export { searchSegment, type SearchSegmentOptions, type SegmentSearch } from './search/search-interval.js';
export type { Assessment, Objective, SegmentProblem } from './search/interval-problem.js';
export { shareSamples } from './search/share-samples.js';
export { simulate, type SimulateOptions, simulateWith } from './simulate/simulate.js';
export type { DeviceUse, IdleCause, LinkUse, Span, Timeline } from './simulate/timeline.js';
export { drawGanttSvg, type DrawGanttSvgOptions } from './views/gantt-svg.js';
export { drawGanttText, type DrawGanttTextOptions } from './views/gantt-text.js';
export {
  type CompleteEvent,
  type FlowEvent,
  type MetadataEvent,
  type TraceEvent,
  traceEvents,
  type TraceFile,
} from './views/trace-events.js';
export { type LayerCost, lowestTrainedLayer, withCachedPrefix, type Workload } from './problem/workload.js';
export { comparePeers, type PeerResult } from './peers/compare-peers.js';
export {
  type ClusterFile,
  type MeasuredCluster,
  type Measurement,
  type MeasuredRecord,
  mergeClusters,
  type MergedCluster,
  withMeasured,
} from './problem/measured-cluster.js';
export { planAndSimulate, type PlanAndSimulateOptions, type SimulatedPlan } from './planner/plan-and-simulate.js';
export { frontOfCluster, type FrontOfCluster, type TimeEnergyPoint } from './planner/front-of-cluster.js';
export { applyWhatIf } from './problem/what-if.js';
