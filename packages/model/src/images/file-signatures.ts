/** Names of files that are no pictures for us, so that a refusal can say what was given. */

/** How the first bytes begin or look as Latin-1; the first that fits counts. */
const signatures: readonly (readonly [string | RegExp, string])[] = [
  ['GIF8', 'a GIF'],
  ['II*\0', "a TIFF, or a camera's raw picture"],
  ['MM\0*', "a TIFF, or a camera's raw picture"],
  ['II+\0', 'a BigTIFF'],
  ['MM\0+', 'a BigTIFF'],
  [/^.{4}ftypavi[fs]/s, 'an AVIF'],
  [/^.{4}ftyp(?:hei|hev|mif1|msf1)/s, 'a HEIF'],
  [/^.{4}ftyp/s, 'a video or another MPEG-4 file'],
  ['\xff\n', 'a JPEG XL'],
  ['\0\0\0\fJXL ', 'a JPEG XL'],
  ['\xff\x4f\xff\x51', 'a JPEG 2000'],
  ['\0\0\0\fjP  ', 'a JPEG 2000'],
  [/^BM.{4}\0\0\0\0/s, 'a BMP'],
  ['\0\0\x01\0', 'an icon file'],
  ['\0\0\x02\0', 'a cursor file'],
  ['8BPS', 'a Photoshop file'],
  ['%PDF', 'a PDF'],
  ['%!PS', 'a PostScript file'],
  [/^P[1-7]\s/, 'a PNM'],
  ['qoif', 'a QOI'],
  ['v/1\x01', 'an OpenEXR'],
  ['#?RADIANCE', 'a Radiance HDR'],
  ['\x1f\x8b', 'a gzip file (such as SVGZ)'],
  ['PK\x03\x04', 'a ZIP file'],
  ['RIFF', 'a RIFF file, but no WebP'],
  ['version https://git-lfs', 'a Git LFS pointer, and not the file itself ("git lfs pull" fetches it)'],
  [/^(?:\xef\xbb\xbf)?\s*<(?:[^]*<)?(?:\w+:)?svg[\s>]/i, 'an SVG'],
  [/^(?:\xef\xbb\xbf)?\s*<(?:!doctype )?html/i, 'an HTML page'],
  [/^(?:\xef\xbb\xbf)?\s*<\?xml/, 'an XML file'],
];

/** What the file seems to be, as a noun. */
export function nameOfFile(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 4096)).toString('latin1');
  const fits = (pattern: string | RegExp) =>
    typeof pattern === 'string' ? start.startsWith(pattern) : pattern.test(start);
  return signatures.find(([pattern]) => fits(pattern))?.[1] ?? 'a file of another kind';
}
