/** What a model is, by the bytes of its files: wherever they lie, the same bytes are the same model. */
import { createHash } from 'node:crypto';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { ModelError } from '../model-error.js';
import { filesOf as weightFilesOf } from './safetensors-files.js';

/** Part of a model → SHA-256 of its files, hexadecimal. A GGUF file has no parts; a directory has the other three. */
export type ModelDigests = Readonly<Partial<Record<ModelPart, string>>>;
type ModelPart = 'file' | 'configuration' | 'weights' | 'tokenizer';

export interface DigestProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/**
 * Reads the files from which `loadModel` makes a model, and yields progress. Of a directory these are the weights and every JSON and Jinja
 * file, so that none that the loader comes to read is left out. A gigabyte takes about a second.
 *
 * @throws ModelError when a file cannot be read or the index of the weights is damaged.
 */
export async function* digestModel(path: string): AsyncGenerator<DigestProgress, ModelDigests> {
  const files = await filesOf(path);
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const buffer = new Uint8Array(chunkBytes);
  const hashes = new Map<ModelPart, ReturnType<typeof createHash>>();
  let doneBytes = 0;
  for (const { part, name, file, sizeBytes } of files) {
    const hash = hashes.get(part) ?? createHash('sha256');
    hashes.set(part, hash);
    // With its length before it, no file can pass for the beginning of another.
    hash.update(JSON.stringify([name, sizeBytes]));
    const handle = await open(file).catch((cause: unknown) => {
      throw unreadable(file, cause);
    });
    try {
      for await (const bytes of chunksOf(handle, buffer)) {
        hash.update(bytes);
        doneBytes += bytes.length;
        yield { doneBytes, totalBytes };
      }
    } finally {
      await handle.close();
    }
  }
  return Object.fromEntries([...hashes].map(([part, hash]) => [part, hash.digest('hex')]));
}

const chunkBytes = 2 ** 22;

async function* chunksOf(file: FileHandle, buffer: Uint8Array): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

interface ModelFile {
  readonly part: ModelPart;
  /** Within the model: where the model lies does not count. */
  readonly name: string;
  readonly file: string;
  readonly sizeBytes: number;
}

/** In an order that is the same on every machine. */
async function filesOf(path: string): Promise<ModelFile[]> {
  if ((await statOf(path)).isFile()) return [await modelFile('file', '', path)];
  const { paths } = await weightFilesOf(path);
  const settings: ModelFile[] = [];
  for (const name of (await readdir(path)).sort())
    if (/\.(json|jinja)$/.test(name) && !name.endsWith('.safetensors.index.json'))
      settings.push(
        await modelFile(
          /token|chat_template|vocab/.test(name) ? 'tokenizer' : 'configuration',
          name,
          join(path, name),
        ),
      );
  return [
    ...settings,
    ...(await Promise.all(paths.map((file) => modelFile('weights', basename(file), file)))),
  ];
}

async function modelFile(part: ModelPart, name: string, file: string): Promise<ModelFile> {
  return { part, name, file, sizeBytes: (await statOf(file)).size };
}

const statOf = (file: string) =>
  stat(file).catch((cause: unknown) => {
    throw unreadable(file, cause);
  });

const unreadable = (file: string, cause: unknown) =>
  new ModelError('MODEL_FILE_MISSING', 'digestModel', `cannot read ${file} (${(cause as Error).message})`, {
    cause,
  });
