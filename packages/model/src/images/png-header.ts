/** Reads what a PNG file says (W3C, PNG third edition) and checks every chunk. */
import { crc32, inflateSync } from 'node:zlib';

import { xmpOrientation, orientationOf } from './orientation.js';
import { damagedPicture, type PictureHeader, unsupportedPicture } from './picture-header.js';

export const pngSignature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** Bit depths of each colour type. */
const depths: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
/** The chunks that make pixels. Transparency is left out: it is dropped and not blended with a background. */
const wanted = ['IHDR', 'PLTE', 'IDAT', 'IEND'];

/** @throws ModelError when the file is damaged, cut short or an animation. */
export function readPngHeader(bytes: Buffer, path: string): PictureHeader {
  const damaged = (what: string) => damagedPicture(path, `it is a damaged PNG: ${what}`);
  const parts: [number, number][] = [[0, pngSignature.length]];
  const notes: Notes = {};
  let header: Buffer | undefined;
  let last = '';
  const seen = new Set<string>();
  for (let at = pngSignature.length; last !== 'IEND';) {
    if (at + 12 > bytes.length) throw damaged('it is cut short');
    const length = bytes.readUInt32BE(at);
    const name = bytes.toString('latin1', at + 4, at + 8);
    const end = at + 12 + length;
    if (!/^[A-Za-z]{4}$/.test(name)) throw damaged(`a chunk at byte ${at} has no name`);
    if (end > bytes.length) throw damaged(`it is cut short in chunk ${name}`);
    if (crc32(bytes.subarray(at + 4, end - 4)) !== bytes.readUInt32BE(end - 4))
      throw damaged(`the check sum of chunk ${name} at byte ${at} is wrong`);
    if (name === 'CgBI') throw unsupportedPicture(path, 'it is a PNG in the form of Xcode');
    if (name === 'acTL') throw unsupportedPicture(path, 'it is an animated PNG');
    const data = bytes.subarray(at + 8, end - 4);
    if (!header) {
      if (name !== 'IHDR' || length !== 13) throw damaged('its header is missing');
      header = data;
    }
    if (wanted.includes(name)) {
      if (seen.has(name) && name !== 'IDAT') throw damaged(`it has chunk ${name} twice`);
      if (seen.has(name) && last !== 'IDAT') throw damaged('its pixels are in separate places');
      parts.push([at, end]);
    } else if (/^[A-Z]/.test(name))
      throw unsupportedPicture(path, `it is a PNG with the unknown chunk ${name}`);
    else note(notes, name, data, damaged);
    seen.add(name);
    last = name;
    at = end;
  }
  if (!header || !seen.has('IDAT')) throw damaged('it has no pixels');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, colour, compression, filter, interlace] = header.subarray(8) as unknown as readonly number[];
  if (width === 0 || height === 0) throw damaged(`it has ${width} × ${height} pixels`);
  if (!depths[colour!]?.includes(depth!))
    throw damaged(`it has ${depth}-bit samples of colour type ${colour}`);
  if (compression !== 0 || filter !== 0 || interlace! > 1) throw damaged('its header is wrong');
  if (colour === 3 && !seen.has('PLTE')) throw damaged('its palette is missing');
  return {
    format: 'PNG',
    width,
    height,
    samples: colour === 0 && depth === 16 ? 'grey16' : 'colour',
    orientation: orientationOf(notes.exif, notes.xmp, damaged),
    parts,
  };
}

interface Notes {
  exif?: Uint8Array;
  xmp?: string;
}

type Damaged = (what: string) => Error;

/** Notes an orientation from wherever Pillow finds one; a chunk `eXIf` comes before Exif in text. */
function note(notes: Notes, name: string, data: Buffer, damaged: Damaged): void {
  if (name === 'eXIf') notes.exif = data;
  if (name !== 'tEXt' && name !== 'zTXt' && name !== 'iTXt') return;
  const text = readText(name, data, damaged);
  if (text?.key === 'XML:com.adobe.xmp' && xmpOrientation(text.value) !== undefined) notes.xmp = text.value;
  if (text?.key === 'Raw profile type exif' && !notes.exif)
    notes.exif = Buffer.from(text.value.split('\n').slice(3).join(''), 'hex');
}

const mostTextBytes = 2 ** 20;
const orientationKeys = ['XML:com.adobe.xmp', 'Raw profile type exif'];

/** The text of a chunk that may hold an orientation. */
function readText(name: string, data: Buffer, damaged: Damaged): { key: string; value: string } | undefined {
  const end = data.indexOf(0);
  const key = data.toString('latin1', 0, Math.max(0, end));
  if (!orientationKeys.includes(key)) return undefined;
  let value = data.subarray(end + 1);
  let compressed = name === 'zTXt';
  if (compressed) value = value.subarray(1);
  if (name === 'iTXt') {
    compressed = value[0] === 1;
    // Two flags, then a language and a translated key, both ended by NUL.
    const language = value.indexOf(0, 2);
    value = value.subarray(value.indexOf(0, language + 1) + 1);
  }
  try {
    if (compressed) value = inflateSync(value, { maxOutputLength: mostTextBytes });
  } catch {
    throw damaged(`its text "${key}" cannot be read`);
  }
  return { key, value: value.toString('latin1') };
}
