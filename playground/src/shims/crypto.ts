/** The digests of `node:crypto` that are used, from @noble/hashes. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { Buffer } from 'buffer';

export function createHash(name: string) {
  if (name !== 'sha256') throw new Error(`no ${name} in the page`);
  const hash = sha256.create();
  const self = {
    update(data: string | ArrayBufferView) {
      hash.update(
        typeof data === 'string'
          ? new TextEncoder().encode(data)
          : new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      );
      return self;
    },
    digest(encoding?: string) {
      const bytes = hash.digest();
      return encoding === 'hex' ? bytesToHex(bytes) : Buffer.from(bytes);
    },
  };
  return self;
}
