/** Reads what a WebP file says (RFC 9649). */
import { orientationOf } from './orientation.js';
import { damagedPicture, type PictureHeader, unsupportedPicture } from './picture-header.js';

interface Chunk {
  readonly name: string;
  readonly start: number;
  readonly data: Buffer;
}

const [exifFlag, xmpFlag, animationFlag] = [0x08, 0x04, 0x02];

/** @throws ModelError when the file is damaged, cut short or an animation. */
export function readWebpHeader(bytes: Buffer, path: string): PictureHeader {
  const damaged = (what: string) => damagedPicture(path, `it is a damaged WebP: ${what}`);
  const chunks = readChunks(bytes, damaged);
  const find = (name: string) => chunks.find((chunk) => chunk.name === name);
  const [first] = chunks;
  const extended = first?.name === 'VP8X' && first.data.length >= 10 ? first.data : undefined;
  const flags = extended?.[0] ?? 0;
  if ((flags & animationFlag) !== 0 || find('ANIM') || find('ANMF'))
    throw unsupportedPicture(path, 'it is an animated WebP');
  const pixels = extended ? (find('VP8 ') ?? find('VP8L')) : first;
  const size = pixels && sizeOf(pixels);
  if (!pixels || !size) throw damaged('it has no pixels');
  const [width, height] = size;
  if (width === 0 || height === 0) throw damaged(`it has ${width} × ${height} pixels`);
  if (extended && (extended.readUIntLE(4, 3) + 1 !== width || extended.readUIntLE(7, 3) + 1 !== height))
    throw damaged('its pixels do not fill its canvas');
  const exif = (flags & exifFlag) === 0 ? undefined : find('EXIF')?.data;
  const xmp = (flags & xmpFlag) === 0 ? undefined : find('XMP ')?.data.toString('latin1');
  return {
    format: 'WebP',
    width,
    height,
    samples: 'colour',
    orientation: orientationOf(exif, xmp, damaged),
    // The chunk alone is a simple file, without the plane of transparency, which is dropped.
    parts: [
      [0, 12],
      [pixels.start, pixels.start + 8 + pixels.data.length + (pixels.data.length % 2)],
    ],
  };
}

function readChunks(bytes: Buffer, damaged: (what: string) => Error): Chunk[] {
  const end = 8 + bytes.readUInt32LE(4);
  if (end > bytes.length) throw damaged('it is cut short');
  const chunks: Chunk[] = [];
  for (let start = 12; start < end;) {
    if (start + 8 > end) throw damaged('it is cut short');
    const length = bytes.readUInt32LE(start + 4);
    const next = start + 8 + length + (length % 2);
    if (next > end) throw damaged('it is cut short');
    const data = bytes.subarray(start + 8, start + 8 + length);
    chunks.push({ name: bytes.toString('latin1', start, start + 4), start, data });
    start = next;
  }
  return chunks;
}

/** Width and height of a bit stream. */
function sizeOf({ name, data }: Chunk): [number, number] | undefined {
  if (name === 'VP8 ' && data.length >= 10 && data.readUIntBE(3, 3) === 0x9d012a)
    return [data.readUInt16LE(6) & 0x3fff, data.readUInt16LE(8) & 0x3fff];
  if (name !== 'VP8L' || data.length < 5 || data[0] !== 0x2f) return undefined;
  const bits = data.readUInt32LE(1);
  return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
}
