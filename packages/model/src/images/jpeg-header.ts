/** Reads what a JPEG file says (ITU-T T.81) up to its pixels, and finds their end. */
import { orientationOf } from './orientation.js';
import { damagedPicture, type PictureHeader, unsupportedPicture } from './picture-header.js';

const xmpMark = 'http://ns.adobe.com/xap/1.0/\0';
const unsupportedFrames: Readonly<Record<number, string>> = {
  0xc3: 'a lossless JPEG',
  0xc5: 'a hierarchical JPEG',
  0xc6: 'a hierarchical JPEG',
  0xc7: 'a hierarchical JPEG',
  0xc9: 'a JPEG with arithmetic coding',
  0xca: 'a JPEG with arithmetic coding',
  0xcb: 'a lossless JPEG with arithmetic coding',
  0xcd: 'a hierarchical JPEG',
  0xce: 'a hierarchical JPEG',
  0xcf: 'a hierarchical JPEG',
};
const [startOfImage, endOfImage, startOfScan] = [0xd8, 0xd9, 0xda];
/** Markers that stand alone, without a length. */
const isBare = (marker: number) => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);

/** @throws ModelError when the file is damaged, cut short or of a rare kind. */
export function readJpegHeader(bytes: Buffer, path: string): PictureHeader {
  const damaged = (what: string) => damagedPicture(path, `it is a damaged JPEG: ${what}`);
  const parts: [number, number][] = [[0, 2]];
  const exif: Uint8Array[] = [];
  let xmp: string | undefined;
  let frame: Frame | undefined;
  let at = 2;
  for (;;) {
    if (at + 4 > bytes.length) throw damaged('it is cut short');
    if (bytes[at] !== 0xff) throw damaged(`there is no marker at byte ${at}`);
    const marker = bytes[at + 1]!;
    // Markers may be preceded by any number of fill bytes.
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === startOfImage || marker === endOfImage || isBare(marker) || marker === 0)
      throw damaged(`there is a wrong marker at byte ${at}`);
    const end = at + 2 + bytes.readUInt16BE(at + 2);
    if (end < at + 4) throw damaged(`the segment at byte ${at} has no length`);
    if (end > bytes.length) throw damaged('it is cut short');
    const data = bytes.subarray(at + 4, end);
    const begins = (text: string) => data.toString('latin1', 0, text.length) === text;
    const unsupported = unsupportedFrames[marker] ?? (marker === 0xcc ? unsupportedFrames[0xc9] : undefined);
    if (unsupported !== undefined) throw unsupportedPicture(path, `it is ${unsupported}`);
    if (marker >= 0xc0 && marker <= 0xc2) {
      if (frame) throw damaged('it has two frames');
      frame = readFrame(data, path, damaged);
    }
    if (marker === 0xe1 && begins('Exif\0\0')) exif.push(exif.length === 0 ? data : data.subarray(6));
    if (marker === 0xe1 && begins(xmpMark)) xmp = data.toString('latin1', xmpMark.length);
    // Of the applications' segments only these two say how samples become colours.
    const isNote = (marker >= 0xe0 && marker <= 0xef) || marker === 0xfe;
    const saysColours = (marker === 0xe0 && begins('JFIF\0')) || (marker === 0xee && begins('Adobe'));
    if (!isNote || saysColours) parts.push([at, end]);
    at = end;
    if (marker === startOfScan) break;
  }
  if (!frame) throw damaged('its header is missing');
  parts.push([at, endOfPixels(bytes, at, damaged)]);
  return {
    format: 'JPEG',
    ...frame,
    orientation: orientationOf(exif.length > 0 ? Buffer.concat(exif) : undefined, xmp, damaged),
    parts,
  };
}

type Frame = Pick<PictureHeader, 'width' | 'height' | 'samples'>;

function readFrame(data: Buffer, path: string, damaged: (what: string) => Error): Frame {
  if (data.length < 6 || data.length !== 6 + 3 * data[5]!) throw damaged('its header has the wrong length');
  const [bits, height, width, components] = [data[0], data.readUInt16BE(1), data.readUInt16BE(3), data[5]!];
  if (bits !== 8) throw unsupportedPicture(path, `it is a JPEG of ${bits} bits a sample, and not of 8`);
  if (components !== 1 && components !== 3 && components !== 4)
    throw unsupportedPicture(path, `it is a JPEG of ${components} components`);
  if (width === 0 || height === 0) throw damaged(`it has ${width} × ${height} pixels`);
  return { width, height, samples: components === 4 ? 'cmyk' : 'colour' };
}

/** The position after the end marker; what follows it, such as a second picture, is not read. */
function endOfPixels(bytes: Buffer, from: number, damaged: (what: string) => Error): number {
  let at = from;
  for (;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) throw damaged('it is cut short');
    const marker = bytes[at + 1]!;
    if (marker === endOfImage) return at + 2;
    if (marker === 0xff) at += 1;
    else if (marker === 0 || isBare(marker)) at += 2;
    else {
      if (at + 4 > bytes.length) throw damaged('it is cut short');
      at += 2 + bytes.readUInt16BE(at + 2);
    }
  }
}
