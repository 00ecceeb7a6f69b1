/** SVG to PNG with a font of our own, so that a drawing looks alike on machines without any fonts. */
import { createRequire } from 'node:module';

import { Resvg } from '@resvg/resvg-js';

/** The family name every drawing asks for. */
export const drawingFont = 'DejaVu Sans';

/** Renders an SVG document at the given width in pixels. */
export function renderPng(svg: string, { widthPixels = 1200 }: { widthPixels?: number } = {}): Uint8Array {
  const require = createRequire(import.meta.url);
  const fonts = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((file) =>
    require.resolve(`dejavu-fonts-ttf/ttf/${file}`),
  );
  return new Resvg(svg, {
    font: { loadSystemFonts: false, fontFiles: fonts, defaultFontFamily: drawingFont },
    fitTo: { mode: 'width', value: widthPixels },
    background: 'white',
  })
    .render()
    .asPng();
}
