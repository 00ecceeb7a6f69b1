export { type NvpmodelMode, parseNvpmodelModes } from './board/parse-nvpmodel.js';
export { type Board, readBoard } from './board/read-board.js';
export {
  type CommandRunner,
  type FileTree,
  openFileTree,
  type RecordedFile,
  recordedFileTree,
} from './file-tree.js';
export { JetsonError, type JetsonErrorCode } from './jetson-error.js';
export { fitSharing, type Sharing, type StreamRates } from './links/fit-sharing.js';
export { fitThroughput, type Throughput } from './links/fit-throughput.js';
export { type MeasureLinkOptions } from './links/link-options.js';
export { linkProfiles, type LinkProfilesOptions, type LinkSharing } from './links/link-profiles.js';
export { defaultLinkPort } from './links/link-protocol.js';
export { type LinkListener, listenForLinks, type ListenOptions } from './links/listen-for-links.js';
export { type Latency } from './links/measure-latency.js';
export { type MeasuredLink, measureLink } from './links/measure-link.js';
export { type Loss, lossOf } from './links/measure-loss.js';
export { measureSharing, type MeasureSharingOptions } from './links/measure-sharing.js';
export { type LinkEndpoint, parseEndpoint } from './links/parse-endpoint.js';
export { type Change, type Conditions, conditionsOf, type Throttling } from './measure/conditions.js';
export { type MeasurableLayer, type WorkKind } from './measure/measurable-layer.js';
export {
  type MeasuredRate,
  type MeasuredRates,
  measureRates,
  type MeasureRatesOptions,
} from './measure/measure-rates.js';
export {
  measureSustained,
  type MeasureSustainedOptions,
  type SustainedRates,
} from './measure/measure-sustained.js';
export { measuredDevice, type MeasuredDeviceOptions } from './measure/measured-device.js';
export { type Timing, undisturbed } from './measure/undisturbed.js';
export {
  type PublishedAssumptions,
  publishedAssumptions,
  publishedCluster,
  type PublishedClusterOptions,
} from './published/published-cluster.js';
export {
  type PublishedMode,
  type PublishedNumber,
  type PublishedProfile,
  publishedProfile,
  publishedProfiles,
} from './published/published-profiles.js';
export { type CoreLoad } from './sensors/counters.js';
export { type CoreClock } from './sensors/read-core-clocks.js';
export { type Memory, readMemory } from './sensors/read-memory.js';
export { readPowerRails } from './sensors/read-power-rails.js';
export { hottestOf, type Temperature } from './sensors/read-temperatures.js';
export {
  type DeviceSample,
  sampleDevice,
  type SampleOptions,
  watchDevice,
  type WatchOptions,
} from './sensors/sample-device.js';
export { type RailPower, totalPower, type TotalPower } from './sensors/total-power.js';
export {
  parseTegrastats,
  type TegrastatsCore,
  type TegrastatsMemory,
  type TegrastatsRail,
  type TegrastatsSample,
  type TegrastatsTemperature,
  type TegrastatsUnit,
} from './tegrastats/parse-tegrastats.js';
export { readTegrastats } from './tegrastats/read-tegrastats.js';
export { sampleOfTegrastats, type SampleOfTegrastatsOptions } from './tegrastats/sample-of-tegrastats.js';
