/** The safetensors files of a model directory as one collection of named tensors. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { ifThere } from '@contextlora/lora/files';
import { parseSafetensorsHeader, type SafetensorsEntry } from '@contextlora/lora/safetensors';

import { expandBrain, expandHalf, halfTable } from '../gguf/blocks.js';
import { ModelError } from '../model-error.js';
import { partOf } from '../spec/config-reader.js';
import { readJsonObject } from '../spec/read-json.js';
import { type ByteSource, openChunks, type OpenBytes, openFileBytes } from './byte-source.js';
import { sizeOf, type WeightFiles } from './weight-files.js';

interface Place extends SafetensorsEntry {
  readonly source: ByteSource;
  readonly position: number;
}

export interface SafetensorsFiles extends WeightFiles {
  /** Whether two tensors have the same type, shape and bytes. */
  readonly areEqual: (name: string, other: string) => Promise<boolean>;
  /** Whether a tensor, by its name in the files, holds floating-point numbers. */
  readonly isFloating: (storedName: string) => boolean;
}

/** The types that are read. */
const readTypes: readonly string[] = ['F32', 'F16', 'BF16'];

/**
 * Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names; `namesOf` gives the names a tensor may have there.
 *
 * @throws ModelError when a file is missing or damaged, or a tensor is in two files or not where the index says.
 */
export async function openSafetensorsFiles(
  directory: string,
  {
    openBytes = openFileBytes,
    namesOf = (name) => [name],
  }: { openBytes?: OpenBytes; namesOf?: (name: string) => readonly string[] } = {},
): Promise<SafetensorsFiles> {
  const half = halfTable();
  const readChunks = openChunks();
  const { paths, shardOf } = await filesOf(directory);
  const sources: ByteSource[] = [];
  const close = async () => {
    await Promise.all(sources.map((source) => source.close()));
  };
  const places = new Map<string, Place>();
  try {
    for (const path of paths) {
      const source = await openBytes(path);
      sources.push(source);
      const { entries, dataOffset } = await readHeader(source);
      for (const [name, entry] of entries) {
        const other = places.get(name);
        if (other)
          throw new ModelError(
            'MODEL_FILE_DAMAGED',
            'openSafetensorsFiles',
            `tensor "${name}" is in both ${other.source.path} and ${path}; download the model again`,
          );
        places.set(name, { ...entry, source, position: dataOffset + entry.start });
      }
    }
    const lost = [...shardOf].filter(([name, path]) => places.get(name)?.source.path !== path);
    if (lost.length > 0)
      throw new ModelError(
        'MODEL_FILE_DAMAGED',
        'openSafetensorsFiles',
        `${directory}: ${lost.length} tensors are not in the shard that model.safetensors.index.json names, first "${lost[0]?.[0]}"; download the model again`,
      );
  } catch (error) {
    await close();
    throw error;
  }
  const storedName = (name: string) => {
    const [first, second] = namesOf(name).filter((candidate) => places.has(candidate));
    if (second !== undefined)
      throw new ModelError(
        'MODEL_FILE_DAMAGED',
        'openSafetensorsFiles',
        `${directory} has tensors "${first}" and "${second}", which are two names of one weight; which one counts?`,
      );
    return first;
  };
  const find = (name: string) => places.get(storedName(name) ?? '');
  const need = (name: string): Place => {
    const place = find(name);
    if (!place)
      throw new ModelError(
        'MODEL_FILE_DAMAGED',
        'openSafetensorsFiles',
        `${directory} has no tensor "${name}"`,
      );
    if (!readTypes.includes(place.dtype))
      throw new ModelError(
        'MODEL_UNSUPPORTED',
        'openSafetensorsFiles',
        `${place.source.path}: tensor "${name}" is of type ${place.dtype}; weights are read in ${readTypes.join(', ')}`,
      );
    return place;
  };
  const read: WeightFiles['read'] = async (name, target) => {
    const { source, position, dtype, shape } = need(name);
    const result = target ?? new Float32Array(sizeOf(shape));
    if (dtype === 'F32') {
      await source.read(position, new Uint8Array(result.buffer, result.byteOffset, result.byteLength));
      return result;
    }
    const expand = dtype === 'F16' ? expandHalf : expandBrain;
    await readChunks(source, { position, rowBytes: 2, rows: result.length }, (bytes, first, end) => {
      expand(bytes, result.subarray(first, end), half);
    });
    return result;
  };
  return {
    storedNames: [...places.keys()],
    storedName,
    isFloating: (name) => /^B?F\d/.test(places.get(name)?.dtype ?? ''),
    unreadableType(name) {
      const dtype = find(name)?.dtype;
      return dtype === undefined || readTypes.includes(dtype) ? undefined : dtype;
    },
    areEqual: async (name, other) => {
      const [p, q] = [find(name), find(other)];
      if (!p || p.dtype !== q?.dtype || p.shape.join() !== q.shape.join()) return false;
      return sameBytes(p, q, p.end - p.start);
    },
    shapeOf: (name) => find(name)?.shape,
    fileOf: (name) => find(name)?.source.path ?? directory,
    read,
    async readStored(name) {
      const { source, position, dtype, shape } = need(name);
      if (dtype !== 'F16') return read(name);
      const values = new Uint16Array(sizeOf(shape));
      await source.read(position, new Uint8Array(values.buffer));
      return { format: 'f16', values };
    },
    close,
  };
}

/** Compares two regions a megabyte at a time. */
async function sameBytes(p: Place, q: Place, length: number): Promise<boolean> {
  const [one, other] = [Buffer.alloc(2 ** 20), Buffer.alloc(2 ** 20)];
  for (let at = 0; at < length; at += one.length) {
    const size = Math.min(one.length, length - at);
    await p.source.read(p.position + at, one.subarray(0, size));
    await q.source.read(q.position + at, other.subarray(0, size));
    if (one.compare(other, 0, size, 0, size) !== 0) return false;
  }
  return true;
}

async function readHeader(source: ByteSource) {
  const { path, sizeBytes } = source;
  if (sizeBytes < 8)
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'openSafetensorsFiles',
      `${path} has ${sizeBytes} bytes; is the file truncated?`,
    );
  const prefix = new Uint8Array(8);
  await source.read(0, prefix);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(Math.min(maximumHeaderBytes, sizeBytes - 8)))
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'openSafetensorsFiles',
      `${path}: the header claims ${length} bytes, but the file has ${sizeBytes}, and at most ${maximumHeaderBytes} are read; is the file truncated?`,
    );
  const json = new Uint8Array(Number(length));
  await source.read(8, json);
  try {
    return parseSafetensorsHeader(json, sizeBytes, path);
  } catch (cause) {
    throw new ModelError('MODEL_FILE_DAMAGED', 'openSafetensorsFiles', (cause as Error).message, { cause });
  }
}

const maximumHeaderBytes = 100 * 2 ** 20;

/** The files that hold the weights of a model directory, and where its index says that each tensor is. */
export async function filesOf(directory: string): Promise<{ paths: string[]; shardOf: Map<string, string> }> {
  const single = join(directory, 'model.safetensors');
  if ((await ifThere(stat(single)))?.isFile()) return { paths: [single], shardOf: new Map() };
  const index = join(directory, 'model.safetensors.index.json');
  const json = await readJsonObject(index, 'openSafetensorsFiles');
  if (json === undefined)
    throw new ModelError(
      'MODEL_FILE_MISSING',
      'openSafetensorsFiles',
      `${directory} has neither model.safetensors nor model.safetensors.index.json; a model directory is what ` +
        `"hf download <model> --local-dir <directory>" makes`,
    );
  const entries = Object.entries(partOf(json, 'weight_map') ?? {});
  const bad = entries.find(
    ([, name]) => typeof name !== 'string' || !/^[\w.-]+$/.test(name) || name.startsWith('.'),
  );
  if (entries.length === 0 || bad)
    throw new ModelError(
      'MODEL_FILE_DAMAGED',
      'openSafetensorsFiles',
      `${index} names no usable files in its "weight_map"${bad ? `: "${bad[0]}" is in ${JSON.stringify(bad[1])}` : ''}`,
    );
  const shardOf = new Map(
    (entries as [string, string][]).map(([name, file]) => [name, join(directory, file)]),
  );
  const paths = [...new Set(shardOf.values())].sort();
  for (const path of paths)
    if (!(await ifThere(stat(path)))?.isFile())
      throw new ModelError(
        'MODEL_FILE_MISSING',
        'openSafetensorsFiles',
        `${path} is missing, but ${index} names it; download the model again`,
      );
  return { paths, shardOf };
}
