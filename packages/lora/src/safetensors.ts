/**
 * The safetensors format: u64 little-endian header length, JSON header, data.
 *
 * Reading trusts nothing: lengths, offsets, types and shapes are checked before anything is allocated, and a file is read tensor by
 * tensor. Writing sorts names and metadata, so that equal input gives equal bytes.
 */
import { open, type FileHandle } from 'node:fs/promises';

import { bytesPerElement, type Dtype, type FileTensor } from './tensor.js';
import { writeWhole } from './write-whole.js';

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

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, FileTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

const maximumHeaderBytes = 100 * 1024 * 1024;

/** Reads a safetensors file, or only the tensors named. */
export async function readSafetensors(
  path: string,
  { names }: { names?: readonly string[] } = {},
): Promise<Safetensors> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new Error(`lora/readSafetensors: cannot open ${path}; is the path right?`, { cause });
  });
  try {
    const { size } = await file.stat();
    const prefix = await readExactly(file, 0, Math.min(8, size));
    const headerLength = headerLengthOf(prefix, size, path);
    const header = parseSafetensorsHeader(await readExactly(file, 8, headerLength), size, path);
    const tensors = new Map<string, FileTensor>();
    for (const name of names ?? header.entries.keys()) {
      const entry = header.entries.get(name);
      if (!entry) throw new Error(`lora/readSafetensors: ${path} has no tensor "${name}"`);
      const bytes = await readExactly(file, header.dataOffset + entry.start, entry.end - entry.start);
      tensors.set(name, { dtype: entry.dtype, shape: entry.shape, bytes });
    }
    return { tensors, metadata: header.metadata };
  } finally {
    await file.close();
  }
}

/** Reads only the header: what a file holds, without its numbers. */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new Error(`lora/readSafetensorsHeader: cannot open ${path}; is the path right?`, { cause });
  });
  try {
    const { size } = await file.stat();
    const headerLength = headerLengthOf(await readExactly(file, 0, Math.min(8, size)), size, path);
    return parseSafetensorsHeader(await readExactly(file, 8, headerLength), size, path);
  } finally {
    await file.close();
  }
}

/** Decodes safetensors held in memory; `name` stands for the file in messages. */
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

/** Encodes tensors sorted by name, the header padded with spaces to 8 bytes. */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, FileTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const sorted = [...tensors].sort(([p], [q]) => (p < q ? -1 : 1));
  let offset = 0;
  const header: [string, unknown][] = [];
  const metadataKeys = Object.keys(metadata).sort();
  if (metadataKeys.length > 0)
    header.push(['__metadata__', Object.fromEntries(metadataKeys.map((key) => [key, metadata[key]]))]);
  for (const [name, { dtype, shape, bytes }] of sorted) {
    header.push([name, { dtype, shape, data_offsets: [offset, offset + bytes.length] }]);
    offset += bytes.length;
  }
  const json = `{${header.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = Buffer.from(json);
  const padded = Math.ceil(text.length / 8) * 8;
  const result = new Uint8Array(8 + padded + offset);
  new DataView(result.buffer).setBigUint64(0, BigInt(padded), true);
  result.fill(0x20, 8, 8 + padded);
  result.set(text, 8);
  let position = 8 + padded;
  for (const [, { bytes }] of sorted) {
    result.set(bytes, position);
    position += bytes.length;
  }
  return result;
}

/** Writes a safetensors file whole or not at all. */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, FileTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeWhole(path, encodeSafetensors(tensors, metadata));
}

function headerLengthOf(prefix: Uint8Array, fileBytes: number, path: string): number {
  if (prefix.length < 8) throw broken(path, `${fileBytes} bytes long, too short for a header length`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(Math.min(maximumHeaderBytes, fileBytes - 8)))
    throw broken(
      path,
      `the header is said to be ${length} bytes long, the file has ${fileBytes} and at most ${maximumHeaderBytes} are read`,
    );
  return Number(length);
}

/** Checks the JSON header of a file of `fileBytes` bytes; entries must fit, not overlap, and have the size of their shape. */
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
      `tensor "${name}" ${dtype} [${shape.join(', ')}] needs ${expected} bytes and has ${end - start}`,
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

/** JSON.parse keeps the last of two equal keys silently; a file that says a name twice is refused instead. */
function requireUniqueKeys(json: string, parsed: object, path: string): void {
  const top = [...json.matchAll(/"((?:[^"\\]|\\.)*)"\s*:\s*\{\s*"(?:dtype|shape|data_offsets)"/g)].map(
    ([, key]) => key,
  );
  const distinct = new Set(top).size;
  if (distinct !== top.length) throw broken(path, 'the header names a tensor twice');
  if (Object.hasOwn(parsed, '__proto__')) throw broken(path, 'the header names a tensor "__proto__"');
}

const broken = (path: string, what: string, cause?: unknown) =>
  new Error(`lora/readSafetensors: ${path}: ${what}; the file is damaged or no safetensors file`, { cause });

async function readExactly(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0)
      throw new Error(`lora/readSafetensors: the file ended while it was read; is it being written?`);
    done += bytesRead;
  }
  return bytes;
}
