/** Safetensors on disk, read tensor by tensor. */
import { type FileHandle, open } from 'node:fs/promises';

import { LoraError } from '../lora-error.js';
import { headerLengthOf, parseSafetensorsHeader, type SafetensorsHeader } from '../safetensors/header.js';
import { encodeSafetensors, type Safetensors } from '../safetensors/safetensors.js';
import type { FileTensor } from '../safetensors/tensor.js';
import { writeWhole } from './write-whole.js';

/**
 * Reads a safetensors file, or only the tensors named.
 *
 * @throws LoraError when the file is missing (`LORA_FILE_MISSING`) or damaged (`LORA_FILE_DAMAGED`), or has no tensor of a given name
 * (`LORA_TENSOR_UNUSABLE`).
 */
export async function readSafetensors(
  path: string,
  { names }: { names?: readonly string[] } = {},
): Promise<Safetensors> {
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, FileTensor>();
    for (const name of names ?? file.entries.keys()) tensors.set(name, await file.read(name));
    return { tensors, metadata: file.metadata };
  } finally {
    await file.close();
  }
}

/** A file of which tensors are read one by one. */
export interface OpenSafetensors extends Pick<SafetensorsHeader, 'entries' | 'metadata'> {
  /** @throws LoraError (`LORA_TENSOR_UNUSABLE`) when there is no tensor of this name. */
  read(name: string): Promise<FileTensor>;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file and checks its header.
 *
 * @throws LoraError when the file is missing (`LORA_FILE_MISSING`) or damaged (`LORA_FILE_DAMAGED`).
 */
export async function openSafetensors(path: string): Promise<OpenSafetensors> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    const what = `cannot open ${path}; is the path right?`;
    throw new LoraError('LORA_FILE_MISSING', 'readSafetensors', what, { cause });
  });
  try {
    const { size } = await file.stat();
    const headerLength = headerLengthOf(await readExactly(file, 0, Math.min(8, size)), size, path);
    const { entries, metadata, dataOffset } = parseSafetensorsHeader(
      await readExactly(file, 8, headerLength),
      size,
      path,
    );
    return {
      entries,
      metadata,
      async read(name) {
        const entry = entries.get(name);
        if (!entry)
          throw new LoraError('LORA_TENSOR_UNUSABLE', 'readSafetensors', `${path} has no tensor "${name}"`);
        const { dtype, shape, start, end } = entry;
        return { dtype, shape, bytes: await readExactly(file, dataOffset + start, end - start) };
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Writes a safetensors file whole or not at all. */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, FileTensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeWhole(path, encodeSafetensors(tensors, metadata));
}

async function readExactly(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0)
      throw new LoraError(
        'LORA_FILE_DAMAGED',
        'readSafetensors',
        'the file ended while it was being read; is another program writing it?',
      );
    done += bytesRead;
  }
  return bytes;
}
