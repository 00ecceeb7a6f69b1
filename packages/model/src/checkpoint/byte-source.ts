/** Files as byte ranges: every reader of weights goes through this interface, so that a test can count what is read. */
import { open } from 'node:fs/promises';

import { ModelError } from '../model-error.js';

export interface ByteSource {
  /** The file's path, for messages. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Fills the target from a position in the file; throws if the file ends first. */
  read(position: number, target: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export type OpenBytes = (path: string) => Promise<ByteSource>;

/** Opens a file of the file system. @throws ModelError when it cannot be opened. */
export const openFileBytes: OpenBytes = async (path) => {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new ModelError(
      'MODEL_FILE_MISSING',
      'openFileBytes',
      `cannot open ${path} (${(cause as Error).message})`,
      { cause },
    );
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
            'MODEL_FILE_DAMAGED',
            'openFileBytes',
            `${path} ends at byte ${position + done}, but more was expected; is it still being written?`,
          );
        done += bytesRead;
      }
    },
    close: () => file.close(),
  };
};

/** A region of a source as rows of equal length. */
interface RowRegion {
  readonly position: number;
  readonly rowBytes: number;
  readonly rows: number;
}

const chunkBytes = 2 ** 20;

type ReadChunks = (
  source: ByteSource,
  region: RowRegion,
  use: (bytes: Uint8Array, firstRow: number, endRow: number) => void,
) => Promise<void>;

/**
 * Returns a reader that passes a region through one buffer, a megabyte at a time. The bytes are valid until the next chunk; read one
 * region at a time.
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
