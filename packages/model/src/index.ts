export { activateSegments, type ActiveSegments } from './pass/active-segments.js';
export {
  decoderLayer,
  decoderLayerBackward,
  layerLinears,
  type DecoderLayerWeights,
  type LayerContext,
  type LayerGradients,
  type LayerLinear,
  type LayerSaved,
  type LayerSegments,
} from './pass/decoder-layer.js';
export type { ModelExample } from './text/example.js';
export { openImageFeatures, type ImageFeatures, type ImageFeaturesOptions } from './images/features.js';
export { readImage, readImageTiles, readPicture } from './images/read-picture.js';
export { imageText, withImageTexts, type TileLayout } from './images/image-text.js';
export {
  parseImageProcessor,
  processImage,
  splitImage,
  type ImageProcessorSpec,
} from './images/processor.js';
export { resizeImage, type Resampling, type RgbImage } from './images/resize.js';
export {
  hiddenStates,
  languageLogits,
  languageLoss,
  type GradientsByLayer,
  type HeadRequest,
  type LossRequest,
  type SegmentsByLayer,
  type TokenBatch,
} from './pass/language-pass.js';
export {
  loadLayers,
  loadModel,
  type BaseFormat,
  type LoadedLayers,
  type LoadedModel,
  type LoadModelOptions,
} from './checkpoint/load-model.js';
export {
  createLocalModel,
  type LocalModel,
  type LocalModelOptions,
  type OptimizerOptions,
} from './training/local-model.js';
export { openCheckpoint, readModelSpec, type Checkpoint } from './checkpoint/open-checkpoint.js';
export { openFileBytes, type ByteSource, type OpenBytes } from './checkpoint/byte-source.js';
export { publishedConfig, publishedSpec, publishedSpecNames } from './spec/published-specs.js';
export { withReplacedWeights } from './checkpoint/replace-weights.js';
export { rotaryTable } from './pass/rotary-table.js';
export type { WeightFiles } from './checkpoint/weight-files.js';
export { layerTensors, modelTensors, type TensorShapes } from './spec/model-tensors.js';
export { matrixRows, type RowMatrix } from './pass/matrix-rows.js';
export { locateModel } from './checkpoint/locate-model.js';
export { ModelError } from './model-error.js';
export { hasBias, linearsOf, parseModelSpec, type ModelSpec } from './spec/model-spec.js';
export type { TextSpec } from './spec/text-spec.js';
export type { VisionSpec } from './spec/vision-spec.js';
export { rotaryFrequencies, type RotaryScaling } from './spec/rotary-scaling.js';
export {
  labelTokens,
  predictAnswers,
  type AnswerPrediction,
  type PredictOptions,
} from './answer/predict-answers.js';
export { openTokenizer, readTokenizer, type TextTokenizer, type TokenizerFiles } from './text/tokenizer.js';
export { answerIds, batchOf, promptIds } from './text/token-rows.js';
export { pixelShuffle, visionFeatures, visionTower, type VisionWeights } from './pass/vision-tower.js';
export { cachedLogits, openCache, type CachedRow } from './pass/cached-pass.js';
export { openConversation, type Conversation } from './answer/conversation.js';
export {
  generate,
  generateBatch,
  type ConstraintState,
  type GenerateControl,
  type GenerateOptions,
  type GenerateRequest,
  type GenerationEvent,
  type GenerationResult,
  type Prompt,
  type RowEvent,
  type TokenConstraint,
  type TurnControl,
} from './answer/generate.js';
export {
  drawToken,
  likeliest,
  logProbability,
  processLogits,
  type SamplingOptions,
} from './answer/sampling.js';
export { openTextStream, type TextStream } from './text/stream.js';
export { scoreLabels, type LabelScore, type ScoreLabelsOptions } from './answer/score-labels.js';
export { jsonConstraint } from './answer/json-constraint.js';
export type { JsonBounds } from './answer/json-schema.js';
export { renderChat, type ChatMessage, type RenderChatOptions } from './text/chat-template.js';
export { adapterSegments } from './pass/adapter-segments.js';
