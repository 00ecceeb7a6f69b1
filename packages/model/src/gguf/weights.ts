/**
 * The tensors of a GGUF file under Hugging Face's names and in its row order.
 *
 * Files of architecture `llama` interleave the rows of q and k by rotary pairs, [heads, d/2, 2]; this reader restores [heads, 2, d/2].
 * Other architectures are not permuted.
 */
import { compactFormats } from '@contextlora/kernels';

import { type ByteSource, openChunks } from '../checkpoint/byte-source.js';
import { sizeOf, type WeightFiles } from '../checkpoint/weight-files.js';
import type { TextSpec } from '../spec/text-spec.js';
import { ggufTypes, halfTable } from './blocks.js';
import type { GgufHeader, GgufTensor } from './header.js';
import { ggufNameOf, isPermuted, rowOfFile } from './names.js';

/** Opens the tensors of a parsed file. */
export function ggufWeights(
  source: ByteSource,
  header: GgufHeader,
  { text, architecture }: { text: TextSpec; architecture: string },
): WeightFiles {
  const half = halfTable();
  const readChunks = openChunks();
  const find = (name: string) => header.tensors.get(ggufNameOf(name) ?? '');
  const need = (name: string): GgufTensor => {
    const tensor = find(name);
    if (!tensor) throw new Error(`internal: ${source.path} has no tensor for "${name}"`);
    return tensor;
  };
  // A bias is one row in the file, but its values are permuted like the matrix's rows.
  const columnsOf = (name: string, shape: readonly number[]) =>
    isPermuted(architecture, name) && shape.length === 1 ? 1 : (shape.at(-1) ?? 1);

  /** Calls `use` with the bytes of all rows of a tensor and the position of the first of them. */
  const eachRow = async (
    name: string,
    { shape, type, position }: GgufTensor,
    use: (bytes: Uint8Array, row: number, rows: number) => void,
  ) => {
    const { values, bytes } = typeOf(type);
    const permuted = isPermuted(architecture, name);
    const columns = columnsOf(name, shape);
    const rowBytes = (columns / values) * bytes;
    await readChunks(source, { position, rowBytes, rows: sizeOf(shape) / columns }, (chunk, first, end) => {
      if (!permuted) use(chunk, first, end - first);
      else
        for (let row = first; row < end; row++)
          use(
            chunk.subarray((row - first) * rowBytes, (row - first + 1) * rowBytes),
            rowOfFile(row, text.headDim),
            1,
          );
    });
  };

  const read: WeightFiles['read'] = async (name, target) => {
    const tensor = need(name);
    const { expand } = typeOf(tensor.type);
    const result = target ?? new Float32Array(sizeOf(tensor.shape));
    const columns = columnsOf(name, tensor.shape);
    await eachRow(name, tensor, (bytes, row, rows) => {
      expand(bytes, result.subarray(row * columns, (row + rows) * columns), half);
    });
    return result;
  };
  return {
    storedNames: [...header.tensors.keys()],
    storedName: (name) => find(name)?.name,
    unreadableType: () => undefined,
    shapeOf: (name) => find(name)?.shape,
    fileOf: () => source.path,
    read,
    async readStored(name) {
      const tensor = need(name);
      const { name: type, values, keep } = typeOf(tensor.type);
      const inRows = async (blocks: Uint8Array, of: (bytes: Uint8Array) => Uint8Array) => {
        await eachRow(name, tensor, (bytes, row, rows) => {
          const packed = of(bytes);
          blocks.set(packed, (packed.length / rows) * row);
        });
      };
      const count = sizeOf(tensor.shape);
      if (type === 'f16') {
        const halves = new Uint16Array(count);
        await inRows(new Uint8Array(halves.buffer), (bytes) => bytes);
        return { format: 'f16', values: halves };
      }
      if (!keep) return read(name);
      const { format } = keep(new Uint8Array());
      const blocks = new Uint8Array((count / values) * compactFormats[format].blockBytes);
      await inRows(blocks, (bytes) => keep(bytes).blocks);
      return { format, blocks };
    },
    close: () => source.close(),
  };
}

function typeOf(type: number) {
  const known = ggufTypes.get(type);
  if (!known) throw new Error(`internal: GGUF type ${type} has passed the header`);
  return known;
}
