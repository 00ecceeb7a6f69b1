/** The name and shape of every tensor of a model. */
import type { AudioSpec } from './audio-spec.js';
import { allLayers, decoderLayersOf, includes, type LayerRange } from './layer-range.js';
import { hasBias, linearsOf, type ModelSpec } from './model-spec.js';
import type { VisionSpec } from './vision-spec.js';

/** Shapes by run-time name. */
export type TensorShapes = ReadonlyMap<string, readonly number[]>;

/** The tensors of decoder layers `[start, end)`, by their own indices. */
export function layerTensors(spec: ModelSpec, { start, end }: LayerRange): TensorShapes {
  const { prefix, hiddenSize, headDim, headNorms } = spec.text;
  const shapes = new Map<string, readonly number[]>();
  for (const { name, outFeatures, inFeatures, layerIndex } of linearsOf(spec)) {
    if (layerIndex === undefined || layerIndex < start || layerIndex >= end) continue;
    shapes.set(`${name}.weight`, [outFeatures, inFeatures]);
    if (hasBias(spec.text, name)) shapes.set(`${name}.bias`, [outFeatures]);
  }
  for (let layerIndex = start; layerIndex < end; layerIndex++) {
    const at = `${prefix}layers.${layerIndex}.`;
    for (const norm of ['input_layernorm', 'post_attention_layernorm'])
      shapes.set(`${at}${norm}.weight`, [hiddenSize]);
    if (headNorms)
      for (const norm of ['q_norm', 'k_norm']) shapes.set(`${at}self_attn.${norm}.weight`, [headDim]);
  }
  return shapes;
}

/** All tensors of a model; a tied output matrix is not among them. */
export const modelTensors = (spec: ModelSpec): TensorShapes => rangeTensors(spec, allLayers(spec));

/** The tensors of a range of layers; a tied output matrix is the embedding. */
export function rangeTensors(spec: ModelSpec, range: LayerRange): TensorShapes {
  const { text, vision, audio } = spec;
  const matrix = [text.vocabularySize, text.hiddenSize];
  const [hasEmbedding, hasHead] = [range.start === 0, includes(range, allLayers(spec).end - 1)];
  return new Map<string, readonly number[]>([
    ...(hasEmbedding || (hasHead && text.tiedHead)
      ? ([[`${text.prefix}embed_tokens.weight`, matrix]] as const)
      : []),
    ...(hasHead ? ([[`${text.prefix}norm.weight`, [text.hiddenSize]]] as const) : []),
    ...(hasHead && !text.tiedHead ? ([['lm_head.weight', matrix]] as const) : []),
    ...layerTensors(spec, decoderLayersOf(range, spec)),
    ...(hasEmbedding && vision ? visionTensors(vision, text.hiddenSize) : []),
    ...(hasEmbedding && audio ? audioTensors(audio) : []),
  ]);
}

type NamedShape = [name: string, shape: readonly number[]];

const linear = (name: string, shape: readonly number[], bias = true): NamedShape[] => [
  [`${name}.weight`, shape],
  ...(bias ? [[`${name}.bias`, shape.slice(0, 1)] as NamedShape] : []),
];

function visionTensors(
  {
    tower,
    hiddenSize: d,
    mlpSize: m,
    patchSizePixels: p,
    imageSizePixels,
    layerCount,
    prefix,
    projector,
    connector,
  }: VisionSpec,
  textSize: number,
): NamedShape[] {
  const patches = (imageSizePixels / p) ** 2;
  const pair = (name: string, ...shape: number[]) => linear(prefix + name, shape);
  return [
    ...(projector ? linear(projector.name, [textSize, d], projector.bias) : []),
    ...linear(connector.name, [textSize, connector.inFeatures], connector.bias),
    ...linear(`${prefix}embeddings.patch_embedding`, [d, 3, p, p], tower === 'siglip'),
    [`${prefix}embeddings.position_embedding.weight`, [tower === 'clip' ? patches + 1 : patches, d]],
    ...(tower === 'clip'
      ? ([[`${prefix}embeddings.class_embedding`, [d]], ...pair('pre_layrnorm', d)] as [
          string,
          readonly number[],
        ][])
      : pair('post_layernorm', d)),
    ...Array.from({ length: layerCount }, (_, layerIndex) => {
      const at = `encoder.layers.${layerIndex}.`;
      return [
        ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((name) => pair(`${at}self_attn.${name}`, d, d)),
        ...pair(`${at}mlp.fc1`, m, d),
        ...pair(`${at}mlp.fc2`, d, m),
        ...pair(`${at}layer_norm1`, d),
        ...pair(`${at}layer_norm2`, d),
      ];
    }).flat(),
  ];
}

function audioTensors({
  hiddenSize: d,
  mlpSize: m,
  melBins,
  positions,
  layerCount,
  projector,
  prefix,
}: AudioSpec): NamedShape[] {
  const pair = (name: string, shape: readonly number[], bias = true) => linear(prefix + name, shape, bias);
  return [
    ...projector.flatMap(({ name, inFeatures, outFeatures, bias }) =>
      linear(name, [outFeatures, inFeatures], bias),
    ),
    ...pair('conv1', [d, melBins, 3]),
    ...pair('conv2', [d, d, 3]),
    ...pair('embed_positions', [positions, d], false),
    ...pair('layer_norm', [d]),
    ...Array.from({ length: layerCount }, (_, layerIndex) => {
      const at = `layers.${layerIndex}.`;
      return [
        ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((name) =>
          pair(`${at}self_attn.${name}`, [d, d], name !== 'k_proj'),
        ),
        ...pair(`${at}fc1`, [m, d]),
        ...pair(`${at}fc2`, [d, m]),
        ...pair(`${at}self_attn_layer_norm`, [d]),
        ...pair(`${at}final_layer_norm`, [d]),
      ];
    }).flat(),
  ];
}
