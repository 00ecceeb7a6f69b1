/** A Vega-Lite picture as SVG. */
import type { TopLevelSpec } from 'vega-lite';

/** Draws a specification without a screen; returns SVG. */
export async function renderSvg(spec: TopLevelSpec): Promise<string> {
  // vega awaits at its top level, which a CommonJS caller could not load; and only a drawing needs it.
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
