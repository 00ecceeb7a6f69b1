export { drawSituation, type DrawnSituation } from './iov/draw-situation.js';
export {
  decideStrategy,
  iovTasks,
  labelsOf,
  roadLabelOf,
  roadLabels,
  speedLimits,
  strategyLabels,
  vehicleLabels,
  weatherLabelOf,
  weatherLabels,
  type IovTask,
  type RoadLabel,
  type Situation,
  type SpeedLimit,
  type StrategyLabel,
  type VehicleLabel,
  type WeatherLabel,
} from './iov/iov-labels.js';
export {
  defaultIovCounts,
  iovSplits,
  writeIovDataset,
  type DatasetProgress,
  type IovCounts,
  type IovSplit,
} from './iov/write-iov-dataset.js';
export { linearProbe, type LinearProbeOptions, type ProbeSet } from './probe/linear-probe.js';
export { pixelProbe } from './probe/pixel-probe.js';
export {
  airWords,
  biggestOf,
  captionsOf,
  groundWords,
  pictureWords,
  questionsOf,
  type Question,
} from './pretraining/captions.js';
export { drawPretrainingScene } from './pretraining/draw-pretraining-scene.js';
export { pretrainingText } from './pretraining/pretraining-text.js';
export { readingWords } from './pretraining/reading-words.js';
export { emergencyVehicles, nouns, ordinaryVehicles, roadsideThings, walkers } from './scenes/icons.js';
export { createSceneRenderer, type ScenePixels, type SceneRenderer } from './scenes/render-scene.js';
export {
  grounds,
  sceneSizePixels,
  weathers,
  type Ground,
  type IconStyle,
  type Scene,
  type SceneObject,
  type Weather,
} from './scenes/scene.js';
export { BenchmarksError, type BenchmarksErrorCode } from './benchmarks-error.js';
export {
  baselineCommand,
  runBaselines,
  type BaselineJob,
  type BaselineMessage,
} from './demo/baseline-process.js';
export { compareDecisions, type CompareDecisionsOptions } from './demo/compare-decisions.js';
export {
  decisionTask,
  demoSettings,
  type DemoSettings,
  embeddedName,
  embeddedScenario,
} from './demo/demo-scenario.js';
export { planForBoards, type BoardPlan } from './demo/plan-for-boards.js';
export { demoCounts } from './demo/render-scenes.js';
export { runDemo, type DemoEvent, type DemoOptions, type DemoResult } from './demo/run-demo.js';
export { jointTask, trainEmptyGraph, trainJoint, type TrainedSegments } from './demo/train-baselines.js';
