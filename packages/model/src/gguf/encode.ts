/** Encodes small GGUF files: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3. */

export interface EncodedTensor {
  readonly name: string;
  /** Outermost first. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export type EncodedValue = string | { readonly f32: number };

/** A file with text and float32 metadata, and tensors in float32. */
export function encodeGguf(
  metadata: readonly (readonly [string, EncodedValue])[],
  tensors: readonly EncodedTensor[],
): Uint8Array {
  const parts: Uint8Array[] = [];
  const number = (bytes: number, write: (view: DataView) => void) => {
    const buffer = new Uint8Array(bytes);
    write(new DataView(buffer.buffer));
    parts.push(buffer);
  };
  const u32 = (value: number) => {
    number(4, (view) => {
      view.setUint32(0, value, true);
    });
  };
  const u64 = (value: number) => {
    number(8, (view) => {
      view.setBigUint64(0, BigInt(value), true);
    });
  };
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  parts.push(new TextEncoder().encode('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(metadata.length);
  for (const [key, value] of metadata) {
    text(key);
    if (typeof value === 'string') {
      u32(types.text);
      text(value);
    } else {
      u32(types.f32);
      number(4, (view) => {
        view.setFloat32(0, value.f32, true);
      });
    }
  }
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    text(name);
    u32(shape.length);
    for (const n of [...shape].reverse()) u64(n);
    u32(tensorF32);
    u64(offset);
    offset += padded(values.byteLength);
  }
  const headerBytes = parts.reduce((sum, { length }) => sum + length, 0);
  const file = new Uint8Array(padded(headerBytes) + offset);
  let position = 0;
  for (const part of parts) {
    file.set(part, position);
    position += part.length;
  }
  position = padded(headerBytes);
  for (const { values } of tensors) {
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), position);
    position += padded(values.byteLength);
  }
  return file;
}

const types = { f32: 6, text: 8 } as const;
const tensorF32 = 0;

/** Tensors begin at multiples of 32 bytes, which is the format's default. */
const padded = (bytes: number) => Math.ceil(bytes / 32) * 32;
