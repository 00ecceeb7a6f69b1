/** Digests by which a file is proved to be the one that was written. */
import { createHash } from 'node:crypto';

/** Size and SHA-256 (hexadecimal) of a file's content. */
export interface FileDigest {
  readonly bytes: number;
  readonly sha256: string;
}

/** SHA-256 in hexadecimal; a string stands for its UTF-8 bytes. */
export const sha256 = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');

/** The digest of a file's content. */
export const digestOf = (content: Uint8Array): FileDigest => ({
  bytes: content.byteLength,
  sha256: sha256(content),
});

/** What distinguishes a content from the one that was digested, in words; undefined if it is the same. */
export function differenceFrom(expected: FileDigest, content: Uint8Array): string | undefined {
  const { bytes, sha256: digest } = digestOf(content);
  if (bytes !== expected.bytes) return `has ${bytes} bytes; ${expected.bytes} were written`;
  return digest === expected.sha256 ? undefined : 'has other content than was written (its SHA-256 differs)';
}

/** Whether a value read from a file is a digest. */
export function isFileDigest(value: unknown): value is FileDigest {
  const { bytes, sha256: digest } = (value ?? {}) as Record<string, unknown>;
  return (
    Number.isSafeInteger(bytes) &&
    (bytes as number) >= 0 &&
    typeof digest === 'string' &&
    /^[0-9a-f]{64}$/.test(digest)
  );
}
