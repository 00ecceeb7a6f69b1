/** Every tensor that a model has, by its run-time name, with its shape. */
import { linearsOf, type ModelSpec, type VisionSpec } from './model-spec.js';

export type TensorShapes = ReadonlyMap<string, readonly number[]>;

/** The tensors of decoder layers `[start, end)`. */
export function layerTensors(spec: ModelSpec, { start, end }: { start: number; end: number }): TensorShapes {
  const { prefix, hiddenSize, attentionBias } = spec.text;
  const shapes = new Map<string, readonly number[]>();
  for (const { name, outFeatures, inFeatures, depth } of linearsOf(spec)) {
    if (depth === undefined || depth < start || depth >= end) continue;
    shapes.set(`${name}.weight`, [outFeatures, inFeatures]);
    if (attentionBias && /[qkv]_proj$/.test(name)) shapes.set(`${name}.bias`, [outFeatures]);
  }
  for (let depth = start; depth < end; depth++)
    for (const norm of ['input_layernorm', 'post_attention_layernorm'])
      shapes.set(`${prefix}layers.${depth}.${norm}.weight`, [hiddenSize]);
  return shapes;
}

/** All tensors of a model; a tied output matrix is not one. */
export function modelTensors(spec: ModelSpec): TensorShapes {
  const { text, vision } = spec;
  return new Map<string, readonly number[]>([
    [`${text.prefix}embed_tokens.weight`, [text.vocabularySize, text.hiddenSize]],
    [`${text.prefix}norm.weight`, [text.hiddenSize]],
    ...(text.tiedHead ? [] : ([['lm_head.weight', [text.vocabularySize, text.hiddenSize]]] as const)),
    ...layerTensors(spec, { start: 0, end: text.layerCount }),
    ...linearsOf(spec).flatMap(({ name, depth, outFeatures, inFeatures }) =>
      depth === undefined ? ([[`${name}.weight`, [outFeatures, inFeatures]]] as const) : [],
    ),
    ...(vision ? visionTensors(vision) : []),
  ]);
}

function visionTensors({
  hiddenSize: d,
  mlpSize: m,
  patchSizePixels: p,
  imageSizePixels,
  layerCount,
}: VisionSpec): [string, readonly number[]][] {
  const base = 'model.vision_model.';
  const patches = (imageSizePixels / p) ** 2;
  const pair = (name: string, ...shape: number[]): [string, readonly number[]][] => [
    [`${base}${name}.weight`, shape],
    [`${base}${name}.bias`, shape.slice(0, 1)],
  ];
  return [
    ...pair('embeddings.patch_embedding', d, 3, p, p),
    [`${base}embeddings.position_embedding.weight`, [patches, d]],
    ...pair('post_layernorm', d),
    ...Array.from({ length: layerCount }, (_, depth) => {
      const at = `encoder.layers.${depth}.`;
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
