/** SVG as text: elements with escaped attributes and content, and numbers short enough to read. */
import { drawingFont } from './render-png.js';

export type Attributes = Readonly<Record<string, string | number>>;

/** An element around `content`, which is SVG already. */
export function element(name: string, attributes: Attributes, ...content: readonly string[]): string {
  const written = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${typeof value === 'number' ? round(value) : escape(value)}"`,
  );
  const opening = `<${name}${written.join('')}`;
  return content.length === 0 ? `${opening}/>` : `${opening}>${content.join('')}</${name}>`;
}

/** A line of text. */
export const text = (content: string, attributes: Attributes): string =>
  element('text', attributes, escape(content));

/** A line through `points`, in pixels, with a gap at every point that has no finite place. */
export function path(points: readonly (readonly [number, number])[], attributes: Attributes): string {
  let joined = false;
  const commands = points.flatMap(([x, y]) => {
    const command = joined ? 'L' : 'M';
    joined = Number.isFinite(x) && Number.isFinite(y);
    return joined ? [`${command}${round(x)},${round(y)}`] : [];
  });
  return element('path', { d: commands.join(''), fill: 'none', ...attributes });
}

/** A whole picture on white, with its title at the top left. */
export function picture(
  { width, height, title }: { readonly width: number; readonly height: number; readonly title: string },
  ...content: readonly string[]
): string {
  const [wholeWidth, wholeHeight] = [Math.ceil(width), Math.ceil(height)];
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width: wholeWidth,
      height: wholeHeight,
      viewBox: `0 0 ${wholeWidth} ${wholeHeight}`,
      'font-family': `${drawingFont}, Verdana, sans-serif`,
      'font-size': 12,
    },
    element('rect', { width: '100%', height: '100%', fill: 'white' }),
    text(title, { x: 8, y: 20, 'font-size': 15, 'font-weight': 'bold' }),
    ...content,
  );
}

/** Pixels that a text takes at most, for a layout that cannot measure: most letters of the font are narrower. */
export const widthAtMost = (content: string, fontSize: number): number => 0.68 * fontSize * content.length;

const round = (value: number): number => Math.round(100 * value) / 100;

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Control characters have no place in XML, escaped or not. */
const escape = (content: string): string =>
  content.replace(/\p{Cc}/gu, '�').replace(/[&<>"]/g, (character) => entities[character] ?? character);
