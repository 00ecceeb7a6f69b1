/** SVG to PNG with the font of assets/ alone, so that a drawing looks the same on every machine, with or without fonts. */
import { createRequire } from 'node:module';

import { Resvg } from '@resvg/resvg-js';

/** The family name every drawing asks for. */
export const drawingFont = 'DejaVu Sans';

/** Renders an SVG document at the given width in pixels. */
export function renderPng(svg: string, { widthPixels = 1200 }: { widthPixels?: number } = {}): Uint8Array {
  const require = createRequire(import.meta.url);
  const fonts = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((file) =>
    require.resolve(`@contextlora/cli/assets/${file}`),
  );
  return new Resvg(svg, {
    font: { loadSystemFonts: false, fontFiles: fonts, defaultFontFamily: drawingFont },
    fitTo: { mode: 'width', value: widthPixels },
    background: 'white',
  })
    .render()
    .asPng();
}
