/** Writes small GGUF files, well formed or not, for tests. */

export type Value =
  | { type: 'u32'; value: number }
  | { type: 'f32'; value: number }
  | { type: 'text'; value: string }
  | { type: 'texts'; value: readonly string[] }
  | { type: 'i32s'; value: readonly number[] }
  | { type: 'raw'; kind: number; bytes: Uint8Array };

export interface WrittenTensor {
  readonly name: string;
  /** Outermost first. */
  readonly shape: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
  /** Replaces the tensor's real offset. */
  readonly offset?: number;
}

export interface GgufParts {
  readonly version?: number;
  readonly alignment?: number;
  readonly metadata: readonly (readonly [string, Value])[];
  readonly tensors: readonly WrittenTensor[];
  readonly tensorCount?: bigint;
  readonly metadataCount?: bigint;
}

export function writeGguf({ version = 3, alignment = 32, metadata, tensors, ...counts }: GgufParts): Buffer {
  const parts: Buffer[] = [];
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value >>> 0);
    parts.push(bytes);
  };
  const u64 = (value: number | bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    parts.push(bytes);
  };
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  parts.push(Buffer.from('GGUF'));
  u32(version);
  u64(counts.tensorCount ?? tensors.length);
  u64(counts.metadataCount ?? metadata.length);
  for (const [key, entry] of metadata) {
    text(key);
    switch (entry.type) {
      case 'u32':
        u32(4);
        u32(entry.value);
        break;
      case 'f32': {
        u32(6);
        const bytes = Buffer.alloc(4);
        bytes.writeFloatLE(entry.value);
        parts.push(bytes);
        break;
      }
      case 'text':
        u32(8);
        text(entry.value);
        break;
      case 'texts':
        u32(9);
        u32(8);
        u64(entry.value.length);
        entry.value.forEach(text);
        break;
      case 'i32s':
        u32(9);
        u32(5);
        u64(entry.value.length);
        entry.value.forEach(u32);
        break;
      case 'raw':
        u32(entry.kind);
        parts.push(Buffer.from(entry.bytes));
        break;
      default:
        entry satisfies never;
    }
  }
  const pad = (length: number) => (alignment - (length % alignment)) % alignment;
  let end = 0;
  for (const { name, shape, type, bytes, offset } of tensors) {
    text(name);
    u32(shape.length);
    for (const n of [...shape].reverse()) u64(n);
    u32(type);
    u64(offset ?? end);
    end += bytes.length + pad(bytes.length);
  }
  const header = Buffer.concat(parts);
  const data = tensors.flatMap(({ bytes }) => [bytes, Buffer.alloc(pad(bytes.length))]);
  return Buffer.concat([header, Buffer.alloc(pad(header.length)), ...data]);
}

const u32 = (value: number): Value => ({ type: 'u32', value });
const zeros = (name: string, ...shape: number[]): WrittenTensor => ({
  name,
  shape,
  type: 0,
  bytes: Buffer.alloc(4 * shape.reduce((product, n) => product * n, 1)),
});

/** The parts of a model with one layer: hidden 8, two heads of 4, MLP 8, five tokens. */
export const smallGguf: GgufParts = {
  metadata: [
    ['general.architecture', { type: 'text', value: 'llama' }],
    ['llama.context_length', u32(16)],
    ['llama.embedding_length', u32(8)],
    ['llama.block_count', u32(1)],
    ['llama.feed_forward_length', u32(8)],
    ['llama.attention.head_count', u32(2)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['tokenizer.ggml.model', { type: 'text', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'text', value: 'gpt-2' }],
    ['tokenizer.ggml.tokens', { type: 'texts', value: ['a', 'b', 'ab', '__proto__', '<end>'] }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: [1, 1, 1, 1, 3] }],
    ['tokenizer.ggml.merges', { type: 'texts', value: ['a b'] }],
    ['tokenizer.ggml.eos_token_id', u32(4)],
  ],
  tensors: [
    zeros('token_embd.weight', 5, 8),
    zeros('output_norm.weight', 8),
    ...['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'].map((name) =>
      zeros(`blk.0.${name}.weight`, 8, 8),
    ),
    zeros('blk.0.attn_norm.weight', 8),
    zeros('blk.0.ffn_norm.weight', 8),
  ],
};
