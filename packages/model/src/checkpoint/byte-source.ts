/** The bytes of a file by position: what every reader of weights goes through, so that what is read can be counted. */
import { open } from 'node:fs/promises';

import { ModelError } from '../model-error.js';

export interface ByteSource {
  /** The file's path, for messages. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Fills the target from a position of the file; throws where the file ends before. */
  read(position: number, target: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export type OpenBytes = (path: string) => Promise<ByteSource>;

/** Opens a file of the file system. @throws ModelError when it cannot be opened. */
export const openFileBytes: OpenBytes = async (path) => {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new ModelError('loadModel', `cannot open ${path} (${(cause as Error).message})`, { cause });
  });
  const { size } = await file.stat();
  return {
    path,
    sizeBytes: size,
    async read(position, target) {
      let done = 0;
      while (done < target.length) {
        const { bytesRead } = await file.read(target, done, target.length - done, position + done);
        if (bytesRead === 0)
          throw new ModelError(
            'loadModel',
            `${path} ends at byte ${position + done}, but more was expected; is it being written?`,
          );
        done += bytesRead;
      }
    },
    close: () => file.close(),
  };
};

/** A region of a source as rows of equal length. */
export interface RowRegion {
  readonly position: number;
  readonly rowBytes: number;
  readonly rows: number;
}

const chunkBytes = 2 ** 20;

export type ReadChunks = (
  source: ByteSource,
  region: RowRegion,
  use: (bytes: Uint8Array, firstRow: number, endRow: number) => void,
) => Promise<void>;

/**
 * A reader of regions, a megabyte at a time through one buffer: the bytes are valid until the next chunk, and one region is read
 * at a time.
 */
export function openChunks(): ReadChunks {
  let buffer = new Uint8Array();
  return async (source, { position, rowBytes, rows }, use) => {
    const size = Math.max(1, Math.floor(chunkBytes / rowBytes));
    const needed = Math.min(size, rows) * rowBytes;
    if (buffer.length < needed) buffer = new Uint8Array(needed);
    for (let first = 0; first < rows; first += size) {
      const end = Math.min(rows, first + size);
      const bytes = buffer.subarray(0, (end - first) * rowBytes);
      await source.read(position + first * rowBytes, bytes);
      use(bytes, first, end);
    }
  };
}
