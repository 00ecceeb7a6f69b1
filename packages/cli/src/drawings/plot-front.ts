/** Time against energy as one picture: the front of a cluster, and each device alone. */
import type { TopLevelSpec } from 'vega-lite';

import type { FrontOfCluster, TimeEnergyPoint } from '@contextlora/scheduler';
import { drawingFont } from './render-png.js';
import { renderSvg } from './render-svg.js';

/** Draws both axes logarithmically, the front dark and joined, and a key of the numbered points beside it; returns SVG. */
export function plotFront(
  { front, alone }: FrontOfCluster,
  { title }: { readonly title: string },
): Promise<string> {
  const onFront = new Set(front.map(nameOf));
  const values = [
    ...front.map((point) => ({ ...plotted(point), kind: kinds.front })),
    // A device alone may be on the front itself.
    ...alone
      .filter((point) => !onFront.has(nameOf(point)))
      .sort((a, b) => a.totalSeconds - b.totalSeconds)
      .map((point) => ({ ...plotted(point), kind: kinds.alone })),
  ].map((point, index) => ({ ...point, number: index + 1, key: `${index + 1}  ${point.name}` }));
  const scale = { type: 'log', nice: false, padding: 24 } as const;
  const position = {
    x: { field: 'minutes', type: 'quantitative', title: 'training, minutes', scale },
    y: { field: 'wattHours', type: 'quantitative', title: 'energy, Wh', scale },
  } as const;
  const color = {
    field: 'kind',
    type: 'nominal',
    title: null,
    scale: { domain: [kinds.front, kinds.alone], range: ['#1b5e8c', '#888'] },
    legend: { orient: 'bottom', labelLimit: 400 },
  } as const;
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: title, anchor: 'start', fontSize: 14 },
    background: 'white',
    data: { values },
    hconcat: [
      {
        width: 460,
        height: 340,
        layer: [
          {
            transform: [{ filter: `datum.kind == '${kinds.front}'` }],
            mark: { type: 'line', interpolate: 'step-after', strokeWidth: 1.5, color: '#1b5e8c' },
            encoding: { ...position, order: { field: 'minutes' } },
          },
          { mark: { type: 'point', filled: true, size: 60, opacity: 1 }, encoding: { ...position, color } },
          {
            mark: { type: 'text', align: 'left', dx: 6, dy: -6, fontSize: 11 },
            encoding: { ...position, color, text: { field: 'number' } },
          },
        ],
      },
      {
        width: 230,
        height: 340,
        mark: { type: 'text', align: 'left', x: 0, fontSize: 11 },
        encoding: {
          y: { field: 'number', type: 'ordinal', axis: null },
          text: { field: 'key' },
          color,
        },
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

const kinds = { front: 'no plan found is both faster and more frugal', alone: 'one device alone' } as const;

const nameOf = ({ devices }: TimeEnergyPoint): string => devices.join(' + ');

const plotted = (point: TimeEnergyPoint) => ({
  minutes: point.totalSeconds / 60,
  wattHours: point.totalJoules / 3600,
  name: nameOf(point),
});
