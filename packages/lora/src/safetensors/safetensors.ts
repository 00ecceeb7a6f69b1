/** The safetensors format in memory: header, then the data of every tensor. */
import { headerLengthOf, parseSafetensorsHeader } from './header.js';
import type { FileTensor } from './tensor.js';

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, FileTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Decodes safetensors held in memory; `name` stands for the file in messages.
 *
 * @throws LoraError (`LORA_FILE_DAMAGED`) when the bytes are not safetensors.
 */
export function decodeSafetensors(bytes: Uint8Array, name = 'the buffer'): Safetensors {
  const headerLength = headerLengthOf(bytes.subarray(0, 8), bytes.length, name);
  const header = parseSafetensorsHeader(bytes.subarray(8, 8 + headerLength), bytes.length, name);
  const tensors = new Map<string, FileTensor>();
  for (const [tensor, { dtype, shape, start, end }] of header.entries)
    tensors.set(tensor, {
      dtype,
      shape,
      bytes: new Uint8Array(bytes.subarray(header.dataOffset + start, header.dataOffset + end)),
    });
  return { tensors, metadata: header.metadata };
}

/** Encodes tensors, sorted by name so that equal input gives equal bytes; spaces pad the header to 8 bytes. */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, FileTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const sorted = [...tensors].sort(([p], [q]) => (p < q ? -1 : 1));
  const header = encodeHeader(
    sorted.map(([name, { bytes, ...tensor }]) => ({ name, ...tensor, byteLength: bytes.length })),
    metadata,
  );
  const result = new Uint8Array(sorted.reduce((sum, [, { bytes }]) => sum + bytes.length, header.length));
  result.set(header);
  let position = header.length;
  for (const [, { bytes }] of sorted) {
    result.set(bytes, position);
    position += bytes.length;
  }
  return result;
}

/** The length and the header of a file whose tensors follow in this order. */
export function encodeHeader(
  tensors: readonly (Omit<FileTensor, 'bytes'> & { readonly name: string; readonly byteLength: number })[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  let offset = 0;
  const header: [string, unknown][] = [];
  const metadataKeys = Object.keys(metadata).sort();
  if (metadataKeys.length > 0)
    header.push(['__metadata__', Object.fromEntries(metadataKeys.map((key) => [key, metadata[key]]))]);
  for (const { name, dtype, shape, byteLength } of tensors) {
    header.push([name, { dtype, shape, data_offsets: [offset, offset + byteLength] }]);
    offset += byteLength;
  }
  const json = `{${header.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const padded = Math.ceil(text.length / 8) * 8;
  const result = new Uint8Array(8 + padded);
  new DataView(result.buffer).setBigUint64(0, BigInt(padded), true);
  result.fill(0x20, 8);
  result.set(text, 8);
  return result;
}
