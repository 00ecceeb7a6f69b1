export {
  type CommandRunner,
  type FileTree,
  openFileTree,
  type RecordedFile,
  recordedFileTree,
} from './file-tree.js';
export { identifyBoard } from './board/identify-board.js';
export { fitSharing, type Sharing, type StreamRates } from './links/fit-sharing.js';
export { linkProfiles, type LinkProfilesOptions, type LinkSharing } from './links/link-profiles.js';
export { defaultLinkPort, linkProtocolVersion } from './links/link-protocol.js';
export { type LinkListener, listenForLinks, type ListenOptions } from './links/listen-for-links.js';
export {
  type Latency,
  type Loss,
  lossOf,
  type MeasuredLink,
  measureLink,
  type MeasureLinkOptions,
  measureSharing,
  type MeasureSharingOptions,
} from './links/measure-link.js';
export { type LinkEndpoint } from './links/open-session.js';
export { parseEndpoint } from './links/parse-endpoint.js';
export { fitThroughput, type Throughput } from './links/stream-bytes.js';
export {
  type MeasurableLayer,
  type MeasuredRate,
  type MeasuredRates,
  measureRates,
  type MeasureRatesOptions,
  type WorkKind,
} from './measure/measure-rates.js';
export {
  type Change,
  type Conditions,
  conditionsOf,
  fitSustainedShare,
  fitThrottling,
  measureSustained,
  type MeasureSustainedOptions,
  type SustainedRates,
  type Throttling,
} from './measure/measure-sustained.js';
export { measuredDevice, type MeasuredDeviceOptions } from './measure/measured-device.js';
export { type NvpmodelMode, parseNvpmodelModes } from './board/parse-nvpmodel.js';
export {
  parseTegrastats,
  type TegrastatsCore,
  type TegrastatsMemory,
  type TegrastatsRail,
  type TegrastatsSample,
  type TegrastatsTemperature,
  type TegrastatsUnit,
} from './tegrastats/parse-tegrastats.js';
export {
  type PublishedAssumptions,
  publishedAssumptions,
  publishedCluster,
  type PublishedClusterOptions,
  publishedProfile,
} from './published/published-cluster.js';
export {
  type PublishedMode,
  type PublishedNumber,
  type PublishedProfile,
  publishedProfiles,
} from './published/published-profiles.js';
export { type Board, readBoard } from './board/read-board.js';
export { type GpuState, readGpu } from './sensors/read-gpu.js';
export { readPowerRails } from './sensors/read-power-rails.js';
export {
  coreLoads,
  counterPowers,
  type Counters,
  type Memory,
  readCoreClocks,
  readCounters,
  readMemory,
} from './sensors/counters.js';
export { readTegrastats } from './tegrastats/read-tegrastats.js';
export { hottestOf, readTemperatures, type Temperature } from './sensors/read-temperatures.js';
export {
  type DeviceSample,
  sampleDevice,
  type SampleOptions,
  watchDevice,
  type WatchOptions,
} from './sensors/sample-device.js';
export { sampleOfTegrastats, type SampleOfTegrastatsOptions } from './tegrastats/sample-of-tegrastats.js';
export { type RailPower, totalPower, type TotalPower } from './sensors/total-power.js';
export { type Timing, undisturbed } from './measure/undisturbed.js';
