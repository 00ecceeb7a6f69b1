/** Adapters, checkpoints and shards of the base in the cluster's store, each named by its SHA-256 and proved by it. */
import { createHash } from 'node:crypto';

import { RuntimeError } from '../runtime-error.js';
import type { EngineStore } from './engine-store.js';

/** By what an object is found and proved. */
export interface ObjectDigest {
  readonly sha256: string;
  readonly bytes: number;
}

/** Stores bytes, once however often they are stored. */
export async function storeObject({ objects }: EngineStore, bytes: Uint8Array): Promise<ObjectDigest> {
  const digest = digestOf(bytes);
  await objects.put(digest.sha256, bytes);
  return digest;
}

/** @throws RuntimeError `RUNTIME_OBJECT_DAMAGED` if the store has it no longer, or other bytes in its place. */
export async function loadObject({ objects }: EngineStore, wanted: ObjectDigest): Promise<Uint8Array> {
  const bytes = await objects.get(wanted.sha256);
  const found = bytes && digestOf(bytes);
  if (found?.sha256 === wanted.sha256 && found.bytes === wanted.bytes) return bytes!;
  throw new RuntimeError(
    'RUNTIME_OBJECT_DAMAGED',
    'loadObject',
    found
      ? `the object ${wanted.sha256} of ${wanted.bytes} bytes has changed in the store: it has ${found.bytes} bytes with SHA-256 ${found.sha256}`
      : `the store has no object ${wanted.sha256}; whoever made it must store it again`,
  );
}

const digestOf = (bytes: Uint8Array): ObjectDigest => ({
  sha256: createHash('sha256').update(bytes).digest('hex'),
  bytes: bytes.length,
});
