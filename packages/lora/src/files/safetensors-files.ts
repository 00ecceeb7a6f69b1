/** Safetensors on disk, read tensor by tensor. */
import { type FileHandle, open } from 'node:fs/promises';

import { LoraError } from '../lora-error.js';
import { headerLengthOf, parseSafetensorsHeader } from '../safetensors/header.js';
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
  const file = await open(path, 'r').catch((cause: unknown) => {
    const what = `cannot open ${path}; is the path right?`;
    throw new LoraError('LORA_FILE_MISSING', 'readSafetensors', what, { cause });
  });
  try {
    const { size } = await file.stat();
    const headerLength = headerLengthOf(await readExactly(file, 0, Math.min(8, size)), size, path);
    const header = parseSafetensorsHeader(await readExactly(file, 8, headerLength), size, path);
    const tensors = new Map<string, FileTensor>();
    for (const name of names ?? header.entries.keys()) {
      const entry = header.entries.get(name);
      if (!entry)
        throw new LoraError('LORA_TENSOR_UNUSABLE', 'readSafetensors', `${path} has no tensor "${name}"`);
      const bytes = await readExactly(file, header.dataOffset + entry.start, entry.end - entry.start);
      tensors.set(name, { dtype: entry.dtype, shape: entry.shape, bytes });
    }
    return { tensors, metadata: header.metadata };
  } finally {
    await file.close();
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
