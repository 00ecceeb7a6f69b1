/** resvg, compiled to wasm. */
import { Resvg } from '@resvg/resvg-wasm';

export function renderAsync(svg: string) {
  const rendered = new Resvg(svg, { font: { loadSystemFonts: false } }).render();
  const pixels = new Uint8Array(rendered.pixels);
  rendered.free();
  return Promise.resolve({ pixels });
}
