export { activateSegments, type ActiveSegments } from './active-segments.js';
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
} from './decoder-layer.js';
export type { ModelExample } from './example.js';
export { openImageFeatures, type ImageFeatures, type ImageFeaturesOptions } from './image-features.js';
export { readImage, readImageTiles, readPicture } from './image-input.js';
export { imageText, withImageTexts, type TileLayout } from './image-text.js';
export { parseImageProcessor, processImage, splitImage, type ImageProcessorSpec } from './image-processor.js';
export { resizeImage, type Resampling, type RgbImage } from './resize-image.js';
export {
  hiddenStates,
  languageLogits,
  languageLoss,
  type GradientsByLayer,
  type HeadRequest,
  type LossRequest,
  type SegmentsByLayer,
  type TokenBatch,
} from './language-pass.js';
export {
  loadLayers,
  loadModel,
  type BaseFormat,
  type LoadedLayers,
  type LoadedModel,
  type LoadModelOptions,
} from './load-model.js';
export {
  createLocalModel,
  type LocalModel,
  type LocalModelOptions,
  type OptimizerOptions,
} from './local-model.js';
export { openCheckpoint, readModelSpec, type Checkpoint } from './open-checkpoint.js';
export { openFileBytes, type ByteSource, type OpenBytes } from './byte-source.js';
export { publishedConfig, publishedSpec, publishedSpecNames } from './published-specs.js';
export { withReplacedWeights } from './replace-weights.js';
export { rotaryTable } from './rotary-table.js';
export type { WeightFiles } from './weight-files.js';
export { layerTensors, modelTensors, type TensorShapes } from './model-tensors.js';
export { matrixRows, type RowMatrix } from './matrix-rows.js';
export { locateModel } from './locate-model.js';
export { ModelError } from './model-error.js';
export { hasBias, linearsOf, parseModelSpec, type ModelSpec } from './model-spec.js';
export type { TextSpec } from './text-spec.js';
export type { VisionSpec } from './vision-spec.js';
export { rotaryFrequencies, type RotaryScaling } from './rotary-scaling.js';
export {
  labelTokens,
  predictAnswers,
  type AnswerPrediction,
  type PredictOptions,
} from './predict-answers.js';
export { openTokenizer, readTokenizer, type TextTokenizer, type TokenizerFiles } from './text-tokenizer.js';
export { answerIds, batchOf, promptIds } from './token-rows.js';
export { pixelShuffle, visionFeatures, visionTower, type VisionWeights } from './vision-tower.js';
export { cachedLogits, openCache, type CachedRow } from './cached-pass.js';
export { openConversation, type Conversation } from './conversation.js';
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
} from './generate.js';
export { drawToken, likeliest, logProbability, processLogits, type SamplingOptions } from './sampling.js';
export { openTextStream, type TextStream } from './text-stream.js';
export { scoreLabels, type LabelScore, type ScoreLabelsOptions } from './score-labels.js';
export { jsonConstraint } from './json-constraint.js';
export type { JsonBounds } from './json-schema.js';
export { renderChat, type ChatMessage, type RenderChatOptions } from './chat-template.js';
export { adapterSegments } from './adapter-segments.js';
