/** Elements of SVG. Text is escaped and cut to an estimated width, because nothing here can measure a font. */

/** Text that is safe in elements and attributes; characters that XML does not allow become U+FFFD. */
export const escapeXml = (text: string): string =>
  text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');

/** A little more than common sans-serif fonts need; East Asian characters are as wide as they are high. */
export function textWidth(text: string, size: number): number {
  let ems = 0;
  for (const character of text) ems += emsOf(character);
  return ems * size;
}

function emsOf(character: string): number {
  if (/[ijl.,:;'|!()[\] ]/.test(character)) return 0.34;
  return character.codePointAt(0)! >= 0x1100 && !/[–…·]/.test(character) ? 1.02 : 0.6;
}

/** The text, cut with an ellipsis where it is wider than `pixels`. */
export function cutText(text: string, size: number, pixels: number): string {
  let cut = '';
  let width = 0;
  for (const character of text) {
    width += emsOf(character) * size;
    if (width > pixels) return `${cut}…`;
    if (width + emsOf('…') * size <= pixels) cut += character;
  }
  return text;
}

/** At most two decimals. */
export const round2 = (value: number): number => Math.round(value * 100) / 100;

/** A line of text that starts at `x`, with its baseline at `y`. */
export const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${round2(x)}" y="${round2(y)}"${attributes ? ` ${attributes}` : ''}>${escapeXml(content)}</text>`;

/** A filled box. */
export const rect = (
  x: number,
  y: number,
  width: number,
  height: number,
  fill: string,
  attributes = '',
): string =>
  `<rect x="${round2(x)}" y="${round2(y)}" width="${round2(width)}" height="${round2(height)}" fill="${fill}"${attributes ? ` ${attributes}` : ''}/>`;
