export { type Clock, realClock } from './clock/clock.js';
export {
  executeProgram,
  type ExecutedInstruction,
  type ExecuteOptions,
  type GroupExchange,
  type ProgramInstruction,
  type ProgramMicrobatch,
} from './execute/execute-program.js';
export {
  comparePlan,
  comparisonChart,
  comparisonTrace,
  type PlanComparison,
} from './measure/compare-plan.js';
export { measuredTimeline } from './measure/measured-timeline.js';
export { refitCluster } from './measure/refit-cluster.js';
export { decodeMessage, encodeMessage } from './message/message.js';
export type { MeasuredStep } from './pipeline/measured-step.js';
export type { ModelSide } from './pipeline/model-side.js';
export type { TaskStep } from './pipeline/open-lanes.js';
export { createPipelineModel, type PipelineModel } from './pipeline/pipeline-model.js';
export type { PipelineDevices, PipelineEvent, PipelineModelOptions } from './pipeline/pipeline-options.js';
export type { PlacedPipeline } from './pipeline/placed-pipeline.js';
export type { Clip, PreparedMicrobatch } from './pipeline/run-step.js';
export { RuntimeError, type RuntimeErrorCode } from './runtime-error.js';
export type { TlsIdentity } from './security/tls-identity.js';
export type { MicrobatchHeader, MicrobatchKey, Stage, StagePhase, StageWork } from './stage/stage.js';
export {
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameFault,
  type FrameKind,
  type FrameLimits,
  type FrameRefusal,
} from './transport/frame.js';
export { type MemoryTransportOptions, memoryTransports } from './transport/memory-transports.js';
export { openTransport, type OpenTransportOptions, type RefusedFrame } from './transport/open-transport.js';
export type { Transport } from './transport/transport.js';
export type { Lane, OpenWire, Wire, WireListener } from './transport/wire.js';
export type { LayerRange } from './worker/commands.js';
export { serveStage, type ServeStageOptions } from './worker/serve-stage.js';
