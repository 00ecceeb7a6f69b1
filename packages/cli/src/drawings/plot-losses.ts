/** The training losses of a run as one picture: phases side by side, each task in its own colour. */
import type { LossPoint } from '@contextlora/finetune';
import type { TopLevelSpec } from 'vega-lite';

import { drawingFont } from './render-png.js';
import { renderSvg } from './render-svg.js';

/** Draws every step's loss faintly and its running mean over `smoothSteps` steps boldly; returns SVG. */
export function plotLosses(
  points: readonly LossPoint[],
  { title, smoothSteps = 15 }: { title: string; smoothSteps?: number },
): Promise<string> {
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: title, anchor: 'start', fontSize: 15 },
    width: 820,
    height: 300,
    background: 'white',
    data: { values: points.map((point) => ({ ...point })) },
    transform: [
      {
        window: [{ op: 'mean', field: 'loss', as: 'smooth' }],
        frame: [-smoothSteps, 0],
        groupby: ['task'],
        sort: [{ field: 'step' }],
      },
    ],
    encoding: {
      x: { field: 'step', type: 'quantitative', title: 'optimizer step' },
      color: {
        field: 'task',
        type: 'nominal',
        sort: [...new Set(points.map(({ task }) => task))],
        title: 'phase',
        legend: { symbolOpacity: 1, symbolStrokeWidth: 3 },
      },
    },
    layer: [
      {
        mark: { type: 'line', opacity: 0.25, strokeWidth: 1 },
        encoding: { y: { field: 'loss', type: 'quantitative' } },
      },
      {
        mark: { type: 'line', strokeWidth: 2.5 },
        encoding: { y: { field: 'smooth', type: 'quantitative', title: 'loss (nats)' } },
      },
    ],
    config: {
      font: drawingFont,
      view: { stroke: null },
      axis: { gridColor: '#eee', labelFontSize: 12, titleFontSize: 12 },
    },
  };
  return renderSvg(spec);
}
