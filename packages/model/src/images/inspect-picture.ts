/** Looks at the head of a picture file, without decoding it. */
import { type FileHandle, open } from 'node:fs/promises';

import sharp from 'sharp';

/** As in `readPicture`. */
const maximumPixels = 64e6;

/**
 * What keeps a file from being read as a picture, or undefined: it is missing, no PNG, JPEG or WebP file, cut off, or too large.
 *
 * Reads a few hundred bytes, so that thousands of files can be checked before a run; damage within the file is found when it is decoded.
 */
export async function inspectPicture(path: string): Promise<string | undefined> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR'
      ? 'there is no such file'
      : `it cannot be read (${code ?? ''})`;
  }
  try {
    const info = await file.stat();
    if (!info.isFile()) return 'it is not a file';
    const head = await readAt(file, 0, 32);
    const format = formatOf(head);
    if (format === undefined) return `it is ${nameOf(head)}; only PNG, JPEG and WebP are read, so convert it`;
    if (await isCutOff(file, { format, head, size: info.size })) return `the ${format} file is cut off`;
    const { width = 0, height = 0 } =
      format === 'PNG'
        ? { width: head.readUInt32BE(16), height: head.readUInt32BE(20) }
        : await sharp(path, { limitInputPixels: false }).metadata();
    if (width * height === 0) return `the ${format} file has no pixels`;
    return width * height > maximumPixels
      ? `it has ${width} × ${height} pixels; at most ${maximumPixels / 1e6} million are read, so make it smaller`
      : undefined;
  } catch (cause) {
    return `it cannot be read as a picture (${((cause as Error).message.split('\n')[0] ?? '').trim()})`;
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

type Format = 'PNG' | 'JPEG' | 'WebP';

function formatOf(head: Buffer): Format | undefined {
  if (head.subarray(0, 8).equals(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')) && head.length >= 24)
    return 'PNG';
  if (head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff) return 'JPEG';
  return head.toString('latin1', 0, 4) === 'RIFF' && head.toString('latin1', 8, 12) === 'WEBP'
    ? 'WebP'
    : undefined;
}

/** Whether the mark that ends a file of this format is missing; some cameras write more after it. */
async function isCutOff(
  file: FileHandle,
  { format, head, size }: { format: Format; head: Buffer; size: number },
): Promise<boolean> {
  if (format === 'WebP') return head.readUInt32LE(4) + 8 > size;
  const end = format === 'PNG' ? Buffer.from('IEND') : Buffer.from([0xff, 0xd9]);
  const tail = await readAt(file, Math.max(0, size - 16), 16);
  return !tail.includes(end) && !(await readAt(file, 0, size)).includes(end);
}

/** What a file that is no picture seems to be. */
function nameOf(head: Buffer): string {
  const text = head.toString('latin1').trimStart();
  if (head.length === 0) return 'empty';
  if (text.startsWith('GIF8')) return 'a GIF file';
  if (/^(<\?xml|<svg|<!--|<!DOCTYPE svg)/i.test(text)) return 'an SVG or XML file';
  if (text.startsWith('%PDF')) return 'a PDF file';
  if (text.startsWith('BM')) return 'a BMP file';
  if (/^(II\*\0|MM\0\*)/.test(text)) return 'a TIFF file';
  if (head.toString('latin1', 4, 8) === 'ftyp') return 'an AVIF, HEIC or video file';
  return 'no picture';
}
