/** Time against energy as one picture: the front of a cluster, and each device alone. */
import type { FrontOfCluster, TimeEnergyPoint } from '@contextlora/scheduler';
import { scaleLog } from 'd3-scale';

import { drawAxes, logTicks } from './axes.js';
import { element, path, picture, text, widthAtMost } from './svg-elements.js';

/** Draws both axes logarithmically, the front dark and joined, and a key of the numbered points to the right; returns SVG. */
export function plotFront({ front, alone }: FrontOfCluster, { title }: { readonly title: string }): string {
  const onFront = new Set(front.map(nameOf));
  const points = [
    ...[...front].sort(bySeconds).map((point) => ({ ...point, kind: kinds.front })),
    // A device alone may be on the front itself.
    ...alone
      .filter((point) => !onFront.has(nameOf(point)))
      .sort(bySeconds)
      .map((point) => ({ ...point, kind: kinds.alone })),
  ];
  const area = { left: 72, right: 532, top: 36, bottom: 376 };
  const x = paddedLog(points.map(minutesOf), area.left, area.right);
  const y = paddedLog(points.map(wattHoursOf), area.bottom, area.top);
  const placed = points.map((point, index) => ({
    ...point,
    number: `${index + 1}`,
    left: x(minutesOf(point)),
    top: y(wattHoursOf(point)),
  }));
  const steps = placed
    .filter(({ kind }) => kind === kinds.front)
    .flatMap(({ left, top }, index, all) => {
      const before = all[index - 1];
      return [...(before ? [[left, before.top] as const] : []), [left, top] as const];
    });
  const labels = placeLabels(placed);
  const keyLeft = area.right + 24;
  const legendTop = area.bottom + 62;
  return picture(
    {
      width: keyLeft + 34 + Math.max(180, ...points.map((point) => widthAtMost(nameOf(point), labelPixels))),
      height: Math.max(legendTop + 20, area.top + 24 + 20 * points.length),
      title,
    },
    drawAxes(area, {
      x: { title: 'training, minutes', ticks: logTicks(x) },
      y: { title: 'energy, Wh', ticks: logTicks(y) },
    }),
    path(steps, { stroke: kinds.front.colour, 'stroke-width': 1.5 }),
    ...placed.map(({ left, top, kind }) => dot(left, top, kind)),
    ...placed.map(({ number, kind }, index) =>
      text(number, { ...labels[index], fill: kind.colour, 'font-size': labelPixels }),
    ),
    ...placed.map((point, index) => {
      const line = { y: area.top + 14 + 20 * index, fill: point.kind.colour, 'font-size': labelPixels };
      return (
        text(point.number, { ...line, x: keyLeft + 16, 'text-anchor': 'end' }) +
        text(nameOf(point), { ...line, x: keyLeft + 26 })
      );
    }),
    ...Object.values(kinds).map((kind, index) => {
      const left = area.left + 8 + 300 * index;
      return (
        dot(left, legendTop, kind) + text(kind.text, { x: left + 10, y: legendTop + 4, 'font-size': 11 })
      );
    }),
  );
}

interface Kind {
  readonly text: string;
  readonly colour: string;
}

const kinds = {
  front: { text: 'no plan found is both faster and more frugal', colour: '#1b5e8c' },
  alone: { text: 'one device alone', colour: '#777' },
} as const satisfies Readonly<Record<string, Kind>>;

const nameOf = ({ devices }: TimeEnergyPoint): string => devices.join(' + ');
const minutesOf = ({ totalSeconds }: TimeEnergyPoint): number => totalSeconds / 60;
const wattHoursOf = ({ totalJoules }: TimeEnergyPoint): number => totalJoules / 3600;
const bySeconds = (a: TimeEnergyPoint, b: TimeEnergyPoint): number => a.totalSeconds - b.totalSeconds;

const dotPixels = 4.4;
const labelPixels = 11;

const dot = (cx: number, cy: number, { colour }: Kind): string =>
  element('circle', { cx, cy, r: dotPixels, fill: colour });

/** Positive values onto pixels `from`–`to`, a margin free at both ends. */
function paddedLog(values: readonly number[], from: number, to: number) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = 24 * Math.sign(to - from);
  const scale = scaleLog(low < high ? [low, high] : [low / 2, high * 2], [from + margin, to - margin]);
  return scale.domain([scale.invert(from), scale.invert(to)]).range([from, to]);
}

interface Spot {
  readonly number: string;
  readonly left: number;
  readonly top: number;
}

/** Puts each number on the first side of its point where it hides no dot and no other number. */
function placeLabels(spots: readonly Spot[]) {
  const taken = spots.map(({ left, top }) => ({ left, top, halfWidth: dotPixels, halfHeight: dotPixels }));
  return spots.map(({ number, left, top }) => {
    const halfWidth = widthAtMost(number, labelPixels) / 2;
    const halfHeight = labelPixels / 2;
    const [beside, above] = [dotPixels + 2 + halfWidth, halfHeight + 2];
    const sides = [
      [beside, -above],
      [beside, above],
      [-beside, -above],
      [-beside, above],
      [0, -above - dotPixels],
      [0, above + dotPixels],
    ].map(([right = 0, down = 0]) => ({ left: left + right, top: top + down, halfWidth, halfHeight }));
    const isFree = (side: (typeof sides)[number]) =>
      !taken.some(
        (other) =>
          Math.abs(side.left - other.left) < side.halfWidth + other.halfWidth &&
          Math.abs(side.top - other.top) < side.halfHeight + other.halfHeight,
      );
    const side = sides.find(isFree) ?? { left: left + beside, top: top - above, halfWidth, halfHeight };
    taken.push(side);
    return { x: side.left, y: side.top + 4, 'text-anchor': 'middle' };
  });
}
