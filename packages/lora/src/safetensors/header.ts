/**
 * The header of the safetensors format: u64 little-endian length, then JSON.
 *
 * Nothing in it is trusted: lengths, offsets, types and shapes are checked before anything is allocated.
 */
import { LoraError } from '../lora-error.js';
import { bytesPerElement, type Dtype } from './tensor.js';

export interface SafetensorsEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Byte range within the data part. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the data part begins in the file. */
  readonly dataOffset: number;
}

const maximumHeaderBytes = 100 * 1024 * 1024;

/** The length of the JSON header, from the first 8 bytes of a file of `fileBytes` bytes. */
export function headerLengthOf(prefix: Uint8Array, fileBytes: number, path: string): number {
  if (prefix.length < 8) throw broken(path, `${fileBytes} bytes long, too short for a header length`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(Math.min(maximumHeaderBytes, fileBytes - 8)))
    throw broken(
      path,
      `the header claims ${length} bytes, but the file has ${fileBytes}, and at most ${maximumHeaderBytes} are read`,
    );
  return Number(length);
}

/**
 * Checks the JSON header of a file of `fileBytes` bytes: entries must fit, not overlap, and have the size of their shape.
 *
 * @throws LoraError (`LORA_FILE_DAMAGED`) naming `path`.
 */
export function parseSafetensorsHeader(json: Uint8Array, fileBytes: number, path: string): SafetensorsHeader {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (cause) {
    throw broken(path, 'the header is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw broken(path, 'the header is not a JSON object');
  requireUniqueKeys(new TextDecoder().decode(json), value, path);
  const dataOffset = 8 + json.length;
  const entries = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(value)) {
    if (name === '__metadata__') {
      metadata = metadataOf(entry, path);
      continue;
    }
    entries.set(name, entryOf(name, entry, fileBytes - dataOffset, path));
  }
  const inOrder = [...entries].sort(([, p], [, q]) => p.start - q.start || p.end - q.end);
  for (const [i, [name, { start }]] of inOrder.entries()) {
    const before = inOrder[i - 1];
    if (before && start < before[1].end) throw broken(path, `tensors "${before[0]}" and "${name}" overlap`);
  }
  return { entries, metadata, dataOffset };
}

function entryOf(name: string, value: unknown, dataBytes: number, path: string): SafetensorsEntry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(bytesPerElement, dtype))
    throw broken(
      path,
      `tensor "${name}" has type ${JSON.stringify(dtype)}; known: ${Object.keys(bytesPerElement).join(', ')}`,
    );
  const natural = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  if (!Array.isArray(shape) || shape.length > 8 || !shape.every(natural))
    throw broken(path, `tensor "${name}" has shape ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(natural))
    throw broken(path, `tensor "${name}" has offsets ${JSON.stringify(offsets)}`);
  const [start, end] = offsets as [number, number];
  if (start > end || end > dataBytes)
    throw broken(
      path,
      `tensor "${name}" lies at bytes ${start} to ${end} of ${dataBytes}; is the file truncated?`,
    );
  const expected = shape.reduce((product, n) => product * n, bytesPerElement[dtype as Dtype]);
  if (expected !== end - start)
    throw broken(
      path,
      `tensor "${name}" ${dtype} [${shape.join(', ')}] needs ${expected} bytes but has ${end - start}`,
    );
  return { dtype: dtype as Dtype, shape, start, end };
}

function metadataOf(value: unknown, path: string): Record<string, string> {
  if (typeof value !== 'object' || value === null) throw broken(path, '__metadata__ is not an object');
  const entries = Object.entries(value);
  if (!entries.every(([, text]) => typeof text === 'string'))
    throw broken(path, '__metadata__ holds something that is not text');
  return Object.fromEntries(entries as [string, string][]);
}

/** JSON.parse silently keeps the last of two equal keys; a file that names a tensor twice is refused instead. */
function requireUniqueKeys(json: string, parsed: object, path: string): void {
  const top = [...json.matchAll(/"((?:[^"\\]|\\.)*)"\s*:\s*\{\s*"(?:dtype|shape|data_offsets)"/g)].map(
    ([, key]) => key,
  );
  const distinct = new Set(top).size;
  if (distinct !== top.length) throw broken(path, 'the header names a tensor twice');
  if (Object.hasOwn(parsed, '__proto__')) throw broken(path, 'the header names a tensor "__proto__"');
}

const broken = (path: string, what: string, cause?: unknown) =>
  new LoraError(
    'LORA_FILE_DAMAGED',
    'readSafetensors',
    `${path}: ${what}; the file is damaged or is not a safetensors file`,
    { cause },
  );
