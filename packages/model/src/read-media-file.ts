/** The bytes of a picture or a sound, which a person named: a bounded file and nothing else. */
import { open, stat } from 'node:fs/promises';

import { ModelError } from './model-error.js';

const mostBytes = 2 ** 28;

/** A path, or bytes under a name that messages give them. */
export type MediaSource = string | { readonly name: string; readonly bytes: Uint8Array };

export const nameOfMedia = (source: MediaSource): string =>
  typeof source === 'string' ? source : source.name;

/**
 * Reads a file, or gives the bytes that are there already, which stay the caller's.
 *
 * @throws ModelError `MODEL_FILE_MISSING` when the file cannot be opened, what `unsupported` makes when it is no file or too large.
 */
export async function readMediaFile(
  source: MediaSource,
  {
    where,
    kind,
    unsupported,
  }: {
    readonly where: string;
    readonly kind: 'picture' | 'sound';
    readonly unsupported: (path: string, what: string) => ModelError;
  },
): Promise<Buffer> {
  if (typeof source !== 'string')
    return Buffer.from(source.bytes.buffer, source.bytes.byteOffset, source.bytes.byteLength);
  const missing = (cause: unknown) =>
    new ModelError(
      'MODEL_FILE_MISSING',
      where,
      `cannot read ${source} as a ${kind}: it cannot be opened (${(cause as Error).message})`,
      { cause },
    );
  // A pipe would be waited for, and a device has no end.
  const found = await stat(source).catch((cause: unknown) => {
    throw missing(cause);
  });
  if (!found.isFile()) throw unsupported(source, 'it is not a file');
  if (found.size > mostBytes)
    throw unsupported(
      source,
      `it has ${Math.ceil(found.size / 1e6)} MB, and at most ${Math.floor(mostBytes / 1e6)} are read`,
    );
  const file = await open(source).catch((cause: unknown) => {
    throw missing(cause);
  });
  try {
    return await file.readFile();
  } catch (cause) {
    throw missing(cause);
  } finally {
    await file.close();
  }
}
