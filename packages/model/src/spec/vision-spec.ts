/** The image part of a config: a SigLIP or CLIP tower and the layers that join it to the language model. */
import { defaultProcessor, type ImageProcessorSpec } from '../images/processor-spec.js';
import { type Config, type ConfigReader, readConfigNumbers, textOf } from './config-reader.js';

export interface VisionSpec {
  /** SigLIP has a bias on the patches and a last norm; CLIP a class token in front, a first norm, and features from an inner layer. */
  readonly tower: 'siglip' | 'clip';
  readonly imageSizePixels: number;
  readonly patchSizePixels: number;
  readonly hiddenSize: number;
  readonly mlpSize: number;
  /** The layers that run; those above the feature layer are not loaded. */
  readonly layerCount: number;
  readonly heads: number;
  readonly layerEpsilon: number;
  readonly gelu: 'tanh' | 'erf' | 'quick';
  /** Pixel shuffle turns this many patches a side into one image token; 1 for none. */
  readonly scaleFactor: number;
  /** A frozen layer and its activation between tower and connector (LLaVA's `linear_1`). */
  readonly projector?: { readonly name: string; readonly gelu: 'tanh' | 'erf'; readonly bias: boolean };
  /** The adaptable linear that gives the image tokens, by its run-time name. */
  readonly connector: { readonly name: string; readonly inFeatures: number; readonly bias: boolean };
  /** Whether CLIP's class token is also an image token (`vision_feature_select_strategy` "full"). */
  readonly keepsClassToken: boolean;
  readonly imageTokenId: number;
  /** Image tokens per image. */
  readonly tokenCount: number;
  /** How pictures are prepared for the tower. */
  readonly processor: ImageProcessorSpec;
  /** The prefix of the tower's tensors. */
  readonly prefix: string;
}

/** transformers' names (activations.py); several are one function. */
export const gelus: Readonly<Record<string, 'tanh' | 'erf' | 'quick'>> = {
  gelu_pytorch_tanh: 'tanh',
  gelu_python_tanh: 'tanh',
  gelu_new: 'tanh',
  gelu_fast: 'tanh',
  gelu_accurate: 'tanh',
  gelu: 'erf',
  gelu_python: 'erf',
  quick_gelu: 'quick',
};

/** Keys of a whole config that only a processor or older code reads. */
const harmlessOfWhole = ['ignore_index', 'image_seq_length', 'vocab_size'];
/** Keys of a tower's config that its processor, another class or another head reads. */
const harmlessOfTower = ['max_image_size', 'projection_dim', 'size', 'tie_word_embeddings', 'use_base_siglip', 'vocab_size']; // prettier-ignore

/** SmolVLM and Idefics3; absent numbers default to those of transformers' Idefics3VisionConfig. */
export function parseSiglipSpec(whole: ConfigReader, vision: Config, where: string): VisionSpec {
  const read = readConfigNumbers(vision, `${where}: vision_config`);
  const scaleFactor = whole.count('scale_factor', { fallback: 2, most: 64 });
  const imageTokenId = whole.count('image_token_id');
  const shared = readTower(read, {
    hidden_size: 1152,
    intermediate_size: 3072,
    num_hidden_layers: 12,
    num_attention_heads: 16,
    layer_norm_eps: 1e-6,
    hidden_act: 'gelu_pytorch_tanh',
  });
  const side = shared.imageSizePixels / shared.patchSizePixels;
  if (!Number.isInteger(side / scaleFactor))
    read.refuse(
      `${shared.imageSizePixels} pixels do not divide into patches of ${shared.patchSizePixels} and blocks of ${scaleFactor}`,
    );
  finish(whole, read);
  return {
    tower: 'siglip',
    ...shared,
    scaleFactor,
    connector: {
      name: 'model.connector.modality_projection.proj',
      inFeatures: shared.hiddenSize * scaleFactor ** 2,
      bias: false,
    },
    keepsClassToken: false,
    imageTokenId,
    tokenCount: (side / scaleFactor) ** 2,
    processor: defaultProcessor('siglip', shared.imageSizePixels),
    prefix: 'model.vision_model.',
  };
}

/** LLaVA with a CLIP tower; absent numbers default to those of transformers' CLIPVisionConfig. */
export function parseClipSpec(
  whole: ConfigReader,
  vision: Config,
  { where, hiddenSize }: { where: string; hiddenSize: number },
): VisionSpec {
  const read = readConfigNumbers(vision, `${where}: vision_config`);
  const type = read.value('model_type') ?? 'clip_vision_model';
  if (type !== 'clip_vision_model')
    read.refuse(`a "${textOf(type)}" tower is not supported; LLaVA models need a CLIP tower`);
  const older = whole.count('image_token_index', { fallback: 32_000 });
  const imageTokenId = whole.count('image_token_id', { fallback: older });
  const shared = readTower(read, {
    hidden_size: 768,
    intermediate_size: 3072,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    layer_norm_eps: 1e-5,
    hidden_act: 'quick_gelu',
  });
  const side = shared.imageSizePixels / shared.patchSizePixels;
  if (!Number.isInteger(side))
    read.refuse(`${shared.imageSizePixels} pixels do not divide into patches of ${shared.patchSizePixels}`);
  const layer = whole.value('vision_feature_layer') ?? -2;
  const layers = typeof layer === 'number' && layer < 0 ? shared.layerCount + 1 + layer : layer;
  if (typeof layers !== 'number' || !Number.isInteger(layers) || layers < 0 || layers > shared.layerCount)
    whole.refuse(
      `"vision_feature_layer" is ${textOf(layer)}; one of the tower's ${shared.layerCount} layers is supported`,
    );
  const strategy = whole.value('vision_feature_select_strategy') ?? 'default';
  if (strategy !== 'default' && strategy !== 'full')
    whole.refuse(
      `"vision_feature_select_strategy" is ${textOf(strategy)}; "default" and "full" are supported`,
    );
  const projectorAct = textOf(whole.value('projector_hidden_act') ?? 'gelu');
  const activation = Object.hasOwn(gelus, projectorAct) ? gelus[projectorAct] : undefined;
  if (activation !== 'erf' && activation !== 'tanh')
    whole.refuse(`"projector_hidden_act" is ${projectorAct}; gelu is supported`);
  const bias = whole.flag('multimodal_projector_bias', { fallback: true });
  finish(whole, read);
  return {
    tower: 'clip',
    ...shared,
    layerCount: Number(layers),
    scaleFactor: 1,
    projector: {
      name: 'model.multi_modal_projector.linear_1',
      gelu: activation === 'tanh' ? 'tanh' : 'erf',
      bias,
    },
    connector: { name: 'model.multi_modal_projector.linear_2', inFeatures: hiddenSize, bias },
    keepsClassToken: strategy === 'full',
    imageTokenId,
    tokenCount: side * side + (strategy === 'full' ? 1 : 0),
    processor: defaultProcessor('clip', shared.imageSizePixels),
    prefix: 'model.vision_tower.',
  };
}

/** Refuses what neither part may say, and throws if anything was wrong. */
function finish(whole: ConfigReader, tower: ConfigReader): void {
  whole.refuseOthers(harmlessOfWhole);
  tower.refuseOthers(harmlessOfTower);
  whole.done();
  tower.done();
}

function readTower(read: ConfigReader, fallbacks: Readonly<Record<string, number | string>>) {
  const count = (key: string, most: number, fallback = fallbacks[key]) =>
    read.count(key, { most, ...(typeof fallback === 'number' ? { fallback } : {}) });
  const activation = textOf(read.value('hidden_act') ?? fallbacks['hidden_act']);
  const gelu = Object.hasOwn(gelus, activation) ? gelus[activation] : undefined;
  if (gelu === undefined)
    read.refuse(`activation "${activation}" is not supported; ${Object.keys(gelus).join(', ')} are`);
  const [hiddenSize, heads] = [count('hidden_size', 2 ** 16), count('num_attention_heads', 2 ** 10)];
  if (hiddenSize % heads !== 0) read.refuse(`${hiddenSize} features do not divide into ${heads} heads`);
  if ((read.value('num_channels') ?? 3) !== 3) read.refuse('only images of 3 channels are supported');
  return {
    imageSizePixels: count('image_size', 2 ** 13, 224),
    patchSizePixels: count('patch_size', 2 ** 10, 32),
    hiddenSize,
    mlpSize: count('intermediate_size', 2 ** 18),
    layerCount: count('num_hidden_layers', 2 ** 10),
    heads,
    layerEpsilon: read.notNegative('layer_norm_eps', { fallback: Number(fallbacks['layer_norm_eps']) }),
    gelu: gelu ?? 'tanh',
  };
}
