/**
 * Plain values as bytes: JSON, in which numbers need not be finite, and the Float32Arrays and Uint8Arrays in it, whose content follows.
 *
 *   u32 length of the JSON · JSON, padded to a multiple of 4 · the arrays, each padded to a multiple of 4
 */
import { RuntimeError } from '../runtime-error.js';

type Binary = Float32Array | Uint8Array;

/** What a value of JSON is replaced by that JSON lacks. */
const tag = '$';

/** Equal values give equal bytes. */
export function encodeMessage(value: unknown): Uint8Array {
  const arrays: Binary[] = [];
  const json = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'number' && !Number.isFinite(part)) return { [tag]: String(part) };
    const kind = kindOf(part);
    if (kind === undefined) return part;
    arrays.push(part as Binary);
    return { [tag]: kind, length: (part as Binary).length };
  });
  const text = new TextEncoder().encode(json);
  const start = 4 + padded(text.length);
  const bytes = new Uint8Array(arrays.reduce((at, { byteLength }) => at + padded(byteLength), start));
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 4);
  let at = start;
  for (const { buffer, byteOffset, byteLength } of arrays) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += padded(byteLength);
  }
  return bytes;
}

/**
 * The value, whose arrays are views of the bytes where those are aligned.
 *
 * @throws RuntimeError (`RUNTIME_FRAME_REFUSED`) when the bytes are none of `encodeMessage`.
 */
export function decodeMessage(bytes: Uint8Array): unknown {
  const refuse = (what: string, cause?: unknown) =>
    new RuntimeError('RUNTIME_FRAME_REFUSED', 'decodeMessage', what, { cause });
  if (bytes.length < 4) throw refuse(`a message of ${bytes.length} bytes is too short`);
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const length = new DataView(aligned.buffer, aligned.byteOffset).getUint32(0, true);
  let at = 4 + padded(length);
  if (at > bytes.length) throw refuse(`a message of ${bytes.length} bytes ends within its JSON of ${length}`);
  let misfit: string | undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(aligned.subarray(4, 4 + length)), (_, part: unknown) => {
      if (typeof part !== 'object' || part === null || !(tag in part)) return part;
      const { [tag]: kind, length: count } = part as { [tag]: unknown; length?: number };
      if (kind !== 'f32' && kind !== 'u8') return Number(kind);
      const size = (count ?? NaN) * (kind === 'f32' ? 4 : 1);
      if (!Number.isSafeInteger(size) || size < 0 || at + padded(size) > aligned.length) {
        misfit ??= `a message of ${bytes.length} bytes has no room for an array of ${count}`;
        return undefined;
      }
      const offset = aligned.byteOffset + at;
      at += padded(size);
      return kind === 'f32'
        ? new Float32Array(aligned.buffer, offset, size / 4)
        : new Uint8Array(aligned.buffer, offset, size);
    });
  } catch (error) {
    throw refuse('a message does not begin with JSON', error);
  }
  if (at !== aligned.length) misfit ??= `a message has ${aligned.length - at} bytes too many`;
  if (misfit !== undefined) throw refuse(misfit);
  return value;
}

/** By name, since arrays may come from another realm. */
function kindOf(part: unknown): 'f32' | 'u8' | undefined {
  if (!ArrayBuffer.isView(part)) return undefined;
  const name = (part as Partial<Binary>)[Symbol.toStringTag];
  return name === 'Float32Array' ? 'f32' : name === 'Uint8Array' ? 'u8' : undefined;
}

const padded = (length: number): number => Math.ceil(length / 4) * 4;
