/** A cursor over the first bytes of a GGUF file that checks every count and length before it is used. */
import { ModelError } from '../model-error.js';

/** Thrown when the bytes read so far end before the header does. */
export class HeaderContinues extends Error {}

export const damagedFile = (path: string, what: string) =>
  new ModelError(
    'MODEL_FILE_DAMAGED',
    'readGgufHeader',
    `${path}: ${what}; the file is damaged or is not a GGUF file`,
  );

export type Cursor = ReturnType<typeof openCursor>;

/** Opens a cursor at the first byte; it throws `HeaderContinues` at the last. */
export function openCursor(bytes: Uint8Array, path: string) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Views of some hundred thousand short texts would be more garbage than the texts.
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (size: number, what: string) => {
    if (size > bytes.length - at) throw new HeaderContinues(what);
    at += size;
    return at - size;
  };
  const u32 = (what: string) => view.getUint32(take(4, what), true);
  const count = (what: string, most: number) => {
    const value = view.getBigUint64(take(8, what), true);
    if (value > BigInt(most))
      throw damagedFile(path, `${what} is ${value}, more than the ${most} that are read`);
    return Number(value);
  };
  const textOf = (length: number, what: string) => {
    const start = take(length, what);
    return buffer.toString('utf8', start, start + length);
  };
  return {
    position: () => at,
    skip: take,
    view,
    u32,
    count,
    u64: (what: string) => view.getBigUint64(take(8, what), true),
    text: (what: string, most: number) => textOf(count(`the length of ${what}`, most), what),
    /** Many texts; only a wrong one gets a description, because descriptions cost more than the texts. */
    texts(length: number, what: string, most: number) {
      const texts: string[] = [];
      for (let i = 0; i < length; i++) {
        const left = bytes.length - at - 8;
        const size = left < 0 ? Infinity : view.getUint32(at, true) + 2 ** 32 * view.getUint32(at + 4, true);
        if (size <= most && size <= left) {
          at += 8;
          texts.push(textOf(size, ''));
        } else {
          const element = `element ${i} of ${what}`;
          texts.push(textOf(count(`the length of ${element}`, most), element));
        }
      }
      return texts;
    },
    bytes: (start: number, length: number) => bytes.subarray(start, start + length),
  };
}
