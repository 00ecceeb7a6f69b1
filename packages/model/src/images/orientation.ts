/** The orientation of a picture as Pillow finds it (Image.py, getexif): Exif's tag, or else that of XMP. */

const tag = 0x0112;
const readers: Readonly<Record<number, (view: DataView, at: number, little: boolean) => number>> = {
  3: (view, at, little) => view.getUint16(at, little),
  4: (view, at, little) => view.getUint32(at, little),
  6: (view, at) => view.getInt8(at),
  8: (view, at, little) => view.getInt16(at, little),
  9: (view, at, little) => view.getInt32(at, little),
};

/** 1 to 8; 1 (upright) where nothing else is said. `exif` may begin with its `Exif` mark. */
export function orientationOf(
  exif: Uint8Array | undefined,
  xmp: string | undefined,
  damaged: (what: string) => Error,
): number {
  const value =
    (exif && exifOrientation(exif, damaged)) ?? (xmp === undefined ? undefined : xmpOrientation(xmp));
  return value !== undefined && value >= 1 && value <= 8 ? value : 1;
}

/** The orientation that XMP states. */
export function xmpOrientation(xmp: string): number | undefined {
  const [, , digit] = /tiff:Orientation(="|>)([0-9])/.exec(xmp) ?? [];
  return digit === undefined ? undefined : Number(digit);
}

const mark = Buffer.from('Exif\0\0', 'latin1');

function exifOrientation(exif: Uint8Array, damaged: (what: string) => Error): number | undefined {
  let data = exif;
  for (let times = 0; times < 2 && mark.equals(data.subarray(0, 6)); times++) data = data.subarray(6);
  if (data.length === 0) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const start = Buffer.from(data.subarray(0, 4)).toString('latin1');
  if (data.length < 8 || (start !== 'II*\0' && start !== 'MM\0*')) throw damaged('its Exif data are no TIFF');
  const little = start.startsWith('II');
  const directory = view.getUint32(4, little);
  if (directory + 2 > data.length) return undefined;
  const count = view.getUint16(directory, little);
  for (let i = 0; i < count; i++) {
    const at = directory + 2 + 12 * i;
    // A list that is cut short ends here, as in Pillow.
    if (at + 12 > data.length) return undefined;
    if (view.getUint16(at, little) !== tag) continue;
    const read = readers[view.getUint16(at + 2, little)];
    return read && view.getUint32(at + 4, little) === 1 ? read(view, at + 8, little) : 1;
  }
  return undefined;
}
