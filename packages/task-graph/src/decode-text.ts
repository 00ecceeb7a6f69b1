/** From the bytes of a text file to its text: UTF-8, with or without a byte order mark; anything else is named. */

/** Why bytes are not the text of a file, with the line from 1. */
export interface EncodingProblem {
  readonly line: number;
  readonly message: string;
}

/** Decodes UTF-8 and skips its mark; returns the problem when the bytes are in another encoding. */
export function decodeText(bytes: Uint8Array): string | EncodingProblem {
  const other = otherContent(bytes);
  if (other !== undefined) return { line: 1, message: other };
  const wide = wideEncoding(bytes);
  if (wide !== undefined) return { line: 1, message: convert(wide) };
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    return decoder.decode(bytes);
  } catch {
    return badByte(bytes);
  }
}

/** The signs of another encoding in a text that was already decoded as UTF-8; undefined if there are none. */
export function encodingProblem(text: string): EncodingProblem | undefined {
  const at = text.indexOf('\0');
  if (at === -1) return undefined;
  const head = text.slice(0, 4096);
  const count = head.split('\0').length - 1;
  if (count > head.length / 4)
    return { line: 1, message: convert(count > head.length / 2 ? 'UTF-32' : 'UTF-16') };
  return { line: lineAt(text.slice(0, at)), message: 'holds a NUL character; remove it' };
}

/** What a file is that holds no text, by its first bytes. */
function otherContent(bytes: Uint8Array): string | undefined {
  const [found] = heads.filter(([, head]) => head.every((byte, i) => bytes[i] === byte));
  if (!found) return undefined;
  return found[0] === 'Parquet'
    ? 'not text, but a Parquet table; its name must end in .parquet'
    : `not text, but compressed (${found[0]}); unpack it`;
}

const heads: readonly (readonly [name: string, head: readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['bzip2', [0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59]],
  ['Parquet', [0x50, 0x41, 0x52, 0x31]],
];

/** UTF-16 or UTF-32, by the byte order mark or by the zero bytes of the first characters. */
function wideEncoding(bytes: Uint8Array): string | undefined {
  const [a, b, c, d] = bytes;
  const starts = (...mark: number[]) => mark.every((byte, i) => bytes[i] === byte);
  if (starts(0xff, 0xfe, 0, 0) || starts(0, 0, 0xfe, 0xff)) return 'UTF-32';
  if (starts(0xff, 0xfe) || starts(0xfe, 0xff)) return 'UTF-16';
  if (bytes.length < 2) return undefined;
  if (a === 0 && b === 0 && c === 0 && d !== 0 && d !== undefined) return 'UTF-32';
  if (a !== 0 && b === 0 && c === 0 && d === 0) return 'UTF-32';
  if ((a === 0) !== (b === 0)) return 'UTF-16';
  const head = bytes.subarray(0, 4096);
  return head.filter((byte) => byte === 0).length > head.length / 4 ? 'UTF-16' : undefined;
}

/** The first line that is not UTF-8. */
function badByte(bytes: Uint8Array): EncodingProblem {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let [line, start] = [1, 0]; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    try {
      decoder.decode(bytes.subarray(start, end));
    } catch {
      return {
        line,
        message:
          'not UTF-8 (perhaps Windows-1252 or another encoding of one byte per letter); ' +
          'save the file as UTF-8, or convert it with "iconv -f WINDOWS-1252 -t UTF-8"',
      };
    }
    start = end + 1;
  }
  throw new Error('internal: bytes that are not UTF-8 have no bad line');
}

const convert = (encoding: string) =>
  `the file is in the encoding ${encoding}; save it as UTF-8, or convert it with "iconv -f ${encoding} -t UTF-8"`;

const lineAt = (before: string) => before.split(/\r\n|\n|\r/).length;
