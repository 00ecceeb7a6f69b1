/** The axes of a plot: ticks with a grid, labels and titles. */
import type { ScaleLinear, ScaleLogarithmic } from 'd3-scale';

import { element, text, widthAtMost } from './svg-elements.js';

/** Where a plot lies, in pixels. */
export interface PlotArea {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface Axis {
  readonly title: string;
  readonly ticks: readonly Tick[];
}

export interface Tick {
  /** In pixels. */
  readonly at: number;
  /** Empty for a tick between labelled ones. */
  readonly label: string;
}

/** The horizontal axis below and the vertical one to the left of `area`. */
export function drawAxes(area: PlotArea, { x, y }: { readonly x: Axis; readonly y: Axis }): string {
  const { left, right, top, bottom } = area;
  const line = (x1: number, y1: number, x2: number, y2: number, stroke: string) =>
    element('line', { x1, y1, x2, y2, stroke });
  const [middleX, middleY] = [(left + right) / 2, (top + bottom) / 2];
  const labelWidth = Math.max(...y.ticks.map(({ label }) => widthAtMost(label, 12)));
  const titleLeft = Math.max(16, left - 16 - labelWidth);
  return [
    ...x.ticks.map(({ at }) => line(at, top, at, bottom, gridColour)),
    ...y.ticks.map(({ at }) => line(left, at, right, at, gridColour)),
    ...x.ticks.map(({ at }) => line(at, bottom, at, bottom + tickPixels, axisColour)),
    ...y.ticks.map(({ at }) => line(left - tickPixels, at, left, at, axisColour)),
    line(left, bottom, right, bottom, axisColour),
    line(left, top, left, bottom, axisColour),
    ...x.ticks.map(({ at, label }) => text(label, { x: at, y: bottom + 19, 'text-anchor': 'middle' })),
    ...y.ticks.map(({ at, label }) => text(label, { x: left - 8, y: at + 4, 'text-anchor': 'end' })),
    text(x.title, { x: middleX, y: bottom + 38, 'text-anchor': 'middle', 'font-weight': 'bold' }),
    text(y.title, {
      transform: `translate(${titleLeft} ${middleY}) rotate(-90)`,
      'text-anchor': 'middle',
      'font-weight': 'bold',
    }),
  ].join('');
}

/** About `count` labelled ticks. */
export function linearTicks(scale: ScaleLinear<number, number>, count: number): readonly Tick[] {
  const label = scale.tickFormat(count);
  return scale.ticks(count).map((value) => ({ at: scale(value), label: label(value) }));
}

/** A tick at every multiple of a power of ten, with as many of the roundest labelled as there is room for. */
export function logTicks(scale: ScaleLogarithmic<number, number>): readonly Tick[] {
  const ticks = scale.ticks();
  const label = scale.tickFormat(Infinity, ',');
  const digits = ['123456789', '1235', '1'].find(
    (some) => ticks.filter((value) => some.includes(firstDigit(value))).length <= mostLabels,
  );
  return ticks.map((value) => ({
    at: scale(value),
    label: digits?.includes(firstDigit(value)) ? label(value) : '',
  }));
}

const firstDigit = (value: number): string => value.toExponential().slice(0, 1);

const mostLabels = 10;
const tickPixels = 5;
const gridColour = '#eee';
const axisColour = '#888';
