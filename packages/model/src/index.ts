export { ModelError, type ModelErrorCode } from './model-error.js';

export { openFileBytes, type ByteSource, type OpenBytes } from './checkpoint/byte-source.js';
export { loadLayers, loadModel, type LoadedModel, type LoadModelOptions } from './checkpoint/load-model.js';
export { layersOf, type LoadedLayers } from './checkpoint/loaded-layers.js';
export { loadText } from './checkpoint/load-text.js';
export { mergeModel, type MergeModelOptions, type MergeProgress } from './checkpoint/merge-model.js';
export { encodeGgufAdapter } from './gguf/encode-adapter.js';
export { locateModel } from './checkpoint/locate-model.js';
export { digestModel, type DigestProgress, type ModelDigests } from './checkpoint/model-digests.js';
export { openCheckpoint, readModelSpec, type Checkpoint } from './checkpoint/open-checkpoint.js';
export type { BaseFormat } from './checkpoint/read-weights.js';
export { withReplacedWeights } from './checkpoint/replace-weights.js';
export type { WeightFiles } from './checkpoint/weight-files.js';

export { audioPositions, audioTokens, type AudioSpec } from './spec/audio-spec.js';
export { allLayers, type LayerRange } from './spec/layer-range.js';
export { hasBias, linearsOf, parseModelSpec, type ModelSpec } from './spec/model-spec.js';
export { layerTensors, modelTensors, type TensorShapes } from './spec/model-tensors.js';
export { publishedConfig, publishedSpec, publishedSpecNames } from './spec/published-specs.js';
export { rotaryFrequencies, type RotaryScaling } from './spec/rotary-scaling.js';
export type { TextSpec } from './spec/text-spec.js';
export type { VisionSpec } from './spec/vision-spec.js';

export { cachedLogits, openCache, type CachedRow } from './pass/cached-pass.js';
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
export type { HeadRequest } from './pass/head.js';
export type { LossRequest } from './pass/head-losses.js';
export { hiddenStates, languageLogits, languageLoss } from './pass/language-pass.js';
export type { GradientsByLinear } from './pass/range-pass.js';
export { matrixRows, type RowMatrix } from './pass/matrix-rows.js';
export { rotaryTable } from './pass/rotary-table.js';
export { uploadAdapter, withAdapter, type AdaptedModel, type AnyAdapter } from './pass/with-adapter.js';
export {
  uploadSegments,
  type SegmentsByLinear,
  type SegmentTensors,
  type TaskSegment,
  type UploadedSegments,
} from './pass/segments.js';
export { batchOf, type TokenBatch } from './pass/token-batch.js';
export { audioFeatures, audioTower, type AudioWeights, windowFeatures } from './pass/audio-tower.js';
export { visionFeatures, visionTower, type VisionWeights } from './pass/vision-tower.js';

export { answerIds, labelIds } from './text/answer-tokens.js';
export { withChatPrompts } from './text/chat-prompts.js';
export type { RenderPrompt } from './text/render-prompt.js';
export {
  renderChat,
  type ChatMessage,
  type ContentPart,
  type RenderChatOptions,
} from './text/chat-template.js';
export type { ModelText } from './text/model-text.js';
export { promptIds, type Example } from './text/example.js';
export { openTextStream, type TextStream } from './text/stream.js';
export { readTokenizer } from './text/read-tokenizer.js';
export { templatePlaces } from './text/template-places.js';
export { type ModelIds, openTokenizer, type TextTokenizer, type TokenizerFiles } from './text/tokenizer.js';

export type { FeatureStore } from './features/feature-store.js';
export { openImageFeatures, type ImageFeatures, type ImageFeaturesOptions } from './images/features.js';
export { readChatImage, type ChatImage } from './images/chat-image.js';
export { imageText, withImageTexts, type TileLayout } from './images/image-text.js';
export { parseImageProcessor } from './images/parse-processor.js';
export type { ImageProcessorSpec } from './images/processor-spec.js';
export {
  checkPicture,
  type PictureSource,
  readImage,
  readImageTiles,
  readPicture,
} from './images/read-picture.js';
export { resizeImage, type Resampling, type RgbImage } from './images/resize.js';

export {
  audioText,
  audioToken,
  heardTokens,
  withAudioTokens,
  withSoundSamples,
} from './sounds/audio-text.js';
export { readChatSound, type ChatSound } from './sounds/chat-sound.js';
export { logMel } from './sounds/log-mel.js';
export { checkSound, readSound, readWave, type SoundSource } from './sounds/read-sound.js';
export { resample } from './sounds/resample.js';
export { type AnswerBatch, openAnswerBatch, type RowStep } from './answer/answer-batch.js';
export { type LabelChoice, type LabelQuestion, openLabelChoice } from './answer/choose-labels.js';
export {
  type AnswerRow,
  openAnswerRow,
  type GenerateOptions,
  type GenerateRequest,
  type GenerationEvent,
  type Prompt,
  type RowEvent,
} from './answer/answer-row.js';
export type { ConstraintState, TokenConstraint } from './answer/constraint.js';
export { writeJsonAnswer, type JsonAnswer } from './answer/json-answer.js';
export { openConversation, type Conversation } from './answer/conversation.js';
export {
  generate,
  generateBatch,
  type GenerateControl,
  type GenerationResult,
  type TurnControl,
} from './answer/generate.js';
export { jsonConstraint } from './answer/json-constraint.js';
export { schemaProblems, type JsonBounds } from './answer/json-schema.js';
export type { AnswerPrediction } from './answer/predict-answers.js';
export {
  drawToken,
  likeliest,
  logProbability,
  processLogits,
  type SamplingOptions,
} from './answer/sampling.js';
export { scoreLabels, type LabelScore, type ScoreLabelsOptions } from './answer/score-labels.js';

export { clipStep } from './stage/clip-step.js';
export { createStageExecutor } from './stage/create-stage-executor.js';
export type { LossTerms } from './stage/loss-terms.js';
export { lowerLayersKey } from './stage/lower-layers.js';
export {
  openMicrobatches,
  type LoraDropout,
  type Microbatch,
  type MicrobatchHeader,
  type MicrobatchTokens,
  type PrepareMicrobatches,
} from './stage/microbatch.js';
export type {
  MicrobatchKey,
  StageExecutor,
  StageExecutorOptions,
  StageInput,
  StageOutput,
  StageWork,
} from './stage/stage-executor.js';
export { mergeStates, type OptimizerState, type TrainingState } from './stage/training-state.js';

export {
  openActivationCache,
  type ActivationCache,
  type ActivationCacheOptions,
} from './training/activation-cache.js';
export { createLocalModel, type LocalModel, type LocalModelOptions } from './training/local-model.js';
export { hashOptimizerStates } from './training/hash-optimizer-states.js';
export { decodeState, encodeState, segmentsOfState } from './training/state-files.js';
export {
  momentsOf,
  type OptimizerMethod,
  type OptimizerOptions,
  optimizerProblems,
} from './training/optimizer.js';
