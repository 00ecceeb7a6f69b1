/** Memory of the frozen base weights. */
import { type BaseFormat, layerTensors, type ModelSpec, modelTensors } from '@contextlora/model';

/** A format that base weights are kept in, known before their file is read. */
export type KeptFormat = Exclude<BaseFormat, 'stored'>;

const bytesPerValue: Readonly<Record<KeptFormat, number>> = {
  f32: 4,
  f16: 2,
  int8: 1,
  q8_0: 34 / 32,
  q4_0: 18 / 32,
  q4_1: 20 / 32,
};

/** One decoder layer: matrices in `format`, norms and biases in float32. */
export function decoderLayerBytes(spec: ModelSpec, index: number, format: KeptFormat): number {
  let bytes = 0;
  for (const [rows = 1, columns] of layerTensors(spec, { start: index, end: index + 1 }).values()) {
    if (columns === undefined) bytes += 4 * rows;
    else bytes += rows * columns * bytesPerValue[format] + (format === 'int8' ? 4 * rows : 0);
  }
  return bytes;
}

/** Everything before the decoder layers: embedding, vision tower and connector, in float32. */
export function embeddingBytes(spec: ModelSpec): number {
  const { layerCount, prefix } = spec.text;
  const later = layerTensors(spec, { start: 0, end: layerCount });
  return [...modelTensors(spec)]
    .filter(([name]) => !later.has(name) && name !== 'lm_head.weight' && name !== `${prefix}norm.weight`)
    .reduce((sum, [, shape]) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
}

/** The output matrix and the norm before it. A tied matrix is the embedding's table, which another device must hold once more. */
export const headBytes = ({ text }: ModelSpec): number =>
  4 * text.vocabularySize * text.hiddenSize + 4 * text.hiddenSize;
