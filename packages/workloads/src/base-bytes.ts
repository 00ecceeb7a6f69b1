/** Memory of the frozen base weights. */
import { compactFormats, integerWeightBytes } from '@contextlora/kernels';
import { type BaseFormat, layerTensors, type ModelSpec, modelTensors } from '@contextlora/model';

/** A format that base weights are kept in, known before their file is read. */
export type KeptFormat = Exclude<BaseFormat, 'stored'>;

/** One row of a matrix. */
function rowBytes(format: KeptFormat, columns: number): number {
  if (format === 'f32') return 4 * columns;
  if (format === 'w8a8') return integerWeightBytes.perValue * columns + integerWeightBytes.perRow;
  const { blockValues, blockBytes, rowOverheadBytes } = compactFormats[format];
  return (columns / blockValues) * blockBytes + rowOverheadBytes;
}

/** One decoder layer: matrices in `format`, norms and biases in float32. */
export function decoderLayerBytes(spec: ModelSpec, index: number, format: KeptFormat): number {
  let bytes = 0;
  for (const [rows = 1, columns] of layerTensors(spec, { start: index, end: index + 1 }).values()) {
    if (columns === undefined) bytes += 4 * rows;
    else bytes += rows * rowBytes(format, columns);
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
