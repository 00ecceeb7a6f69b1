/**
 * The header of a GGUF file (version 2 or 3, little-endian): metadata and the position of each tensor.
 *
 * Files are not trusted: counts, lengths, types and positions are checked against limits and the file's size before anything is
 * allocated for them, and duplicate names or keys are refused (docs/decisions.md says why no library does this).
 */
import type { ByteSource } from '../checkpoint/byte-source.js';
import { listProblems, ModelError } from '../model-error.js';
import { ggufTypes, otherGgufTypes } from './blocks.js';
import { type Cursor, damagedFile, HeaderContinues, openCursor } from './cursor.js';

export type GgufValue =
  | number
  | bigint
  | boolean
  | string
  | readonly string[]
  | Int32Array
  | Float32Array
  /** An array of another kind, which nothing here reads; only its length is kept. */
  | { readonly skipped: number };

export interface GgufTensor {
  readonly name: string;
  /** Row-major, outermost first: the reverse of the file's order. */
  readonly shape: readonly number[];
  /** The number of the type, a key of `ggufTypes`. */
  readonly type: number;
  /** Byte position in the file. */
  readonly position: number;
  readonly bytes: number;
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const limits = {
  headerBytes: 64 * 2 ** 20,
  metadataCount: 4096,
  tensorCount: 65_536,
  keyBytes: 1024,
  nameBytes: 256,
  arrayLength: 2 ** 22,
} as const;

/**
 * Reads and checks the header.
 *
 * @throws ModelError naming the file and the key or tensor when the file is no GGUF file, truncated, damaged or beyond the limits.
 */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  const most = Math.min(source.sizeBytes, limits.headerBytes);
  // No field gives the header's length: if the bytes do not suffice, twice as many are read.
  for (let size = Math.min(2 ** 20, most); ; size = Math.min(size * 2, most)) {
    const bytes = new Uint8Array(size);
    await source.read(0, bytes);
    try {
      return parseGgufHeader(bytes, source.sizeBytes, source.path);
    } catch (error) {
      if (!(error instanceof HeaderContinues)) throw error;
      if (size < most) continue;
      throw damagedFile(
        source.path,
        size < source.sizeBytes
          ? `the header is longer than the limit of ${limits.headerBytes} bytes`
          : `the file ends within the header, at ${error.message}; download it again`,
      );
    }
  }
}

/** Parses the header from the file's first bytes. */
function parseGgufHeader(bytes: Uint8Array, fileBytes: number, path: string): GgufHeader {
  const cursor = openCursor(bytes, path);
  if (bytes.length < 4 || String.fromCharCode(...bytes.subarray(0, 4)) !== 'GGUF')
    throw damagedFile(path, 'it does not begin with "GGUF"');
  cursor.skip(4, 'the magic');
  const version = cursor.u32('the version');
  if (version !== 2 && version !== 3)
    throw new ModelError(
      'MODEL_UNSUPPORTED',
      'readGgufHeader',
      `${path}: GGUF version ${version} is not supported; versions 2 and 3 are (a number above 16 million means a big-endian file)`,
    );
  const tensorCount = cursor.count('the number of tensors', limits.tensorCount);
  const metadataCount = cursor.count('the number of metadata', limits.metadataCount);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i++) {
    const key = cursor.text(`metadata key ${i}`, limits.keyBytes);
    const value = readValue(cursor, cursor.u32(`the type of "${key}"`), { key, path });
    if (metadata.has(key)) throw damagedFile(path, `metadata "${key}" occurs twice`);
    metadata.set(key, value);
  }
  const infos = Array.from({ length: tensorCount }, (_, i) => readTensorInfo(cursor, { i, path }));
  const alignment = metadata.get('general.alignment') ?? 32;
  if (
    typeof alignment !== 'number' ||
    alignment < 8 ||
    alignment > 65_536 ||
    (alignment & (alignment - 1)) !== 0
  )
    throw damagedFile(
      path,
      `"general.alignment" is ${JSON.stringify(alignment)}, not a power of two from 8 to 65536`,
    );
  const dataStart = Math.ceil(cursor.position() / alignment) * alignment;
  return { metadata, tensors: placeTensors(infos, { dataStart, alignment, fileBytes, path }) };
}

const valueBytes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8] as const;
const [typeText, typeArray, typeI32, typeF32, typeU32] = [8, 9, 5, 6, 4];

function readValue(cursor: Cursor, type: number, { key, path }: { key: string; path: string }): GgufValue {
  const what = `metadata "${key}"`;
  if (type === typeText) return cursor.text(what, limits.headerBytes);
  if (type === typeArray) return readArray(cursor, { key, path });
  const size = valueBytes[type];
  if (size === undefined) throw damagedFile(path, `${what} has the unknown type ${type}`);
  const at = cursor.skip(size, what);
  const { view } = cursor;
  switch (type) {
    case 0:
      return view.getUint8(at);
    case 1:
      return view.getInt8(at);
    case 2:
      return view.getUint16(at, true);
    case 3:
      return view.getInt16(at, true);
    case 4:
      return view.getUint32(at, true);
    case 5:
      return view.getInt32(at, true);
    case 6:
      return view.getFloat32(at, true);
    case 7:
      return view.getUint8(at) !== 0;
    case 10:
      return view.getBigUint64(at, true);
    case 11:
      return view.getBigInt64(at, true);
    default:
      return view.getFloat64(at, true);
  }
}

function readArray(cursor: Cursor, { key, path }: { key: string; path: string }): GgufValue {
  const what = `metadata "${key}"`;
  const type = cursor.u32(`the element type of ${what}`);
  const length = cursor.count(`the length of ${what}`, limits.arrayLength);
  if (type === typeText) return cursor.texts(length, what, 2 ** 16);
  const size = valueBytes[type];
  if (size === undefined || type === typeArray)
    throw damagedFile(path, `${what} is an array of the unsupported type ${type}`);
  const start = cursor.skip(length * size, what);
  const copy = () => cursor.bytes(start, length * size).slice().buffer;
  if (type === typeF32) return new Float32Array(copy());
  // Token types are signed in most files and unsigned in some, and always small.
  if (type === typeI32 || type === typeU32) return new Int32Array(copy());
  return { skipped: length };
}

interface TensorInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
  readonly offset: bigint;
}

function readTensorInfo(cursor: Cursor, { i, path }: { i: number; path: string }): TensorInfo {
  const name = cursor.text(`the name of tensor ${i}`, limits.nameBytes);
  const dimensions = cursor.u32(`tensor "${name}"`);
  if (dimensions < 1 || dimensions > 4)
    throw damagedFile(path, `tensor "${name}" has ${dimensions} dimensions; 1 to 4 are supported`);
  const shape = Array.from({ length: dimensions }, () =>
    cursor.count(`a dimension of tensor "${name}"`, 2 ** 31),
  );
  const type = cursor.u32(`the type of tensor "${name}"`);
  return { name, shape: shape.reverse(), type, offset: cursor.u64(`the offset of tensor "${name}"`) };
}

/** Checks types and positions and lists all problems at once: known type, whole blocks, alignment, within the file, no duplicates. */
function placeTensors(
  infos: readonly TensorInfo[],
  {
    dataStart,
    alignment,
    fileBytes,
    path,
  }: { dataStart: number; alignment: number; fileBytes: number; path: string },
): Map<string, GgufTensor> {
  const problems: string[] = [];
  let unsupported = 0;
  const tensors = new Map<string, GgufTensor>();
  for (const { name, shape, type, offset } of infos) {
    const known = ggufTypes.get(type);
    const complain = (what: string) => problems.push(`tensor "${name}" ${what}`);
    if (!known) {
      unsupported += 1;
      complain(
        `is of type ${otherGgufTypes[type] ?? type}, which is not read; read are ${[...ggufTypes.values()].map((t) => t.name).join(', ')}`,
      );
      continue;
    }
    const values = shape.reduce((product, n) => product * n, 1);
    const bytes = (values / known.values) * known.bytes;
    const position = dataStart + Number(offset);
    if ((shape.at(-1) ?? 0) % known.values !== 0)
      complain(
        `has rows of ${shape.at(-1)}, which do not divide into ${known.name} blocks of ${known.values}`,
      );
    else if (values === 0) complain(`[${shape.join(', ')}] has no values`);
    else if (offset % BigInt(alignment) !== 0n)
      complain(`lies at offset ${offset}, not a multiple of ${alignment}`);
    else if (!Number.isSafeInteger(bytes) || offset > BigInt(fileBytes) || position + bytes > fileBytes)
      complain(`lies at bytes ${position} to ${position + bytes} of ${fileBytes}; is the file truncated?`);
    else if (tensors.has(name)) complain('occurs twice');
    else tensors.set(name, { name, shape, type, position, bytes });
  }
  if (problems.length === 0) {
    const sorted = [...tensors.values()].sort((p, q) => p.position - q.position);
    for (const [i, tensor] of sorted.entries()) {
      const before = sorted[i - 1];
      if (before && before.position + before.bytes > tensor.position)
        problems.push(`tensors "${before.name}" and "${tensor.name}" overlap`);
    }
  }
  if (problems.length > 0)
    throw new ModelError(
      problems.length === unsupported ? 'MODEL_UNSUPPORTED' : 'MODEL_FILE_DAMAGED',
      'readGgufHeader',
      listProblems(`${path}: cannot be read:`, problems),
    );
  return tensors;
}
