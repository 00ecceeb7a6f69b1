/**
 * The tensors of a GGUF file under Hugging Face's names and in its row order.
 *
 * Writers of architecture `llama` interleave the rows of q and k for their rotary pairs, [heads, d/2, 2]; here they are put back to
 * [heads, 2, d/2]. Other architectures are not permuted.
 */
import { compactFormats } from '@contextlora/kernels';

import { type ByteSource, openChunks } from './byte-source.js';
import { ggufTypes, halfTable } from './gguf-blocks.js';
import type { GgufHeader, GgufTensor } from './gguf-header.js';
import type { TextSpec } from './text-spec.js';
import { sizeOf, type WeightFiles } from './weight-files.js';

const layerNames: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
};

/** The name in a GGUF file of a tensor that a text model calls `model.layers.0.…` and the like. */
export function ggufNameOf(name: string): string | undefined {
  if (name === 'model.embed_tokens.weight') return 'token_embd.weight';
  if (name === 'model.norm.weight') return 'output_norm.weight';
  if (name === 'lm_head.weight') return 'output.weight';
  const match = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  const inner = match?.[2] === undefined ? undefined : layerNames[match[2]];
  return inner === undefined ? undefined : `blk.${match?.[1]}.${inner}.${match?.[3]}`;
}

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
  const isPermuted = (name: string) =>
    architecture === 'llama' && /\.self_attn\.[qk]_proj\.(weight|bias)$/.test(name);
  const group = text.headDim;
  /** Where row r of the file belongs: [heads, d/2, 2] → [heads, 2, d/2]. */
  const rowFor = (row: number) => {
    const within = row % group;
    return row - within + (within % 2) * (group / 2) + (within >> 1);
  };

  /** Calls with the bytes of every row of a tensor, and where the row belongs. */
  const eachRow = async (
    name: string,
    { shape, type, position }: GgufTensor,
    use: (bytes: Uint8Array, row: number, rows: number) => void,
  ) => {
    const { values, bytes } = ggufTypes.get(type)!;
    const permuted = isPermuted(name);
    // A bias is one row in the file, but its values are those of the matrix's rows.
    const columns = permuted && shape.length === 1 ? 1 : shape.at(-1)!;
    const rowBytes = (columns / values) * bytes;
    await readChunks(source, { position, rowBytes, rows: sizeOf(shape) / columns }, (chunk, first, end) => {
      if (!permuted) use(chunk, first, end - first);
      else
        for (let row = first; row < end; row++)
          use(chunk.subarray((row - first) * rowBytes, (row - first + 1) * rowBytes), rowFor(row), 1);
    });
  };

  const read: WeightFiles['read'] = async (name, target) => {
    const tensor = need(name);
    const { expand } = ggufTypes.get(tensor.type)!;
    const result = target ?? new Float32Array(sizeOf(tensor.shape));
    const columns = isPermuted(name) && tensor.shape.length === 1 ? 1 : tensor.shape.at(-1)!;
    await eachRow(name, tensor, (bytes, row, rows) => {
      expand(bytes, result.subarray(row * columns, (row + rows) * columns), half);
    });
    return result;
  };
  return {
    shapeOf: (name) => find(name)?.shape,
    fileOf: () => source.path,
    read,
    async readStored(name) {
      const tensor = need(name);
      const { name: type, values, keep } = ggufTypes.get(tensor.type)!;
      const inRows = async (blocks: Uint8Array, of: (bytes: Uint8Array) => Uint8Array) => {
        await eachRow(name, tensor, (bytes, row, rows) => {
          const own = of(bytes);
          blocks.set(own, (own.length / rows) * row);
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
