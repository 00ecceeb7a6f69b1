export {
  type CommandRunner,
  type FileTree,
  openFileTree,
  type RecordedFile,
  recordedFileTree,
} from './file-tree.js';
export { identifyBoard } from './identify-board.js';
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
export { fitThroughput, type Throughput } from './links/throughput.js';
export {
  type MeasurableLayer,
  type MeasuredRate,
  type MeasuredRates,
  measureRates,
  type MeasureRatesOptions,
  type WorkKind,
} from './measure-rates.js';
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
} from './measure-sustained.js';
export { measuredDevice, type MeasuredDeviceOptions } from './measured-device.js';
export { type NvpmodelMode, parseNvpmodelModes } from './parse-nvpmodel.js';
export {
  parseTegrastats,
  type TegrastatsCore,
  type TegrastatsMemory,
  type TegrastatsRail,
  type TegrastatsSample,
  type TegrastatsTemperature,
  type TegrastatsUnit,
} from './parse-tegrastats.js';
export {
  type PublishedAssumptions,
  publishedAssumptions,
  publishedCluster,
  type PublishedClusterOptions,
  publishedProfile,
} from './published-cluster.js';
export {
  type PublishedMode,
  type PublishedNumber,
  type PublishedProfile,
  publishedProfiles,
} from './published-profiles.js';
export { type Board, readBoard } from './read-board.js';
export { type GpuState, readGpu } from './read-gpu.js';
export { readPowerRails } from './read-power-rails.js';
export {
  coreLoads,
  counterPowers,
  type Counters,
  type Memory,
  readCoreClocks,
  readCounters,
  readMemory,
} from './read-processor.js';
export { readTegrastats } from './read-tegrastats.js';
export { hottestOf, readTemperatures, type Temperature } from './read-temperatures.js';
export {
  type DeviceSample,
  sampleDevice,
  type SampleOptions,
  watchDevice,
  type WatchOptions,
} from './sample-device.js';
export { sampleOfTegrastats, type SampleOfTegrastatsOptions } from './sample-of-tegrastats.js';
export { type RailPower, totalPower, type TotalPower } from './total-power.js';
export { type Timing, undisturbed } from './undisturbed.js';
