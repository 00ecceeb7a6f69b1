/** The key of a plot with a line for each task, to the right of its area. */
import type { PlotArea } from './axes.js';
import { element, text, widthAtMost } from './svg-elements.js';

/** A line in the colour of each task, with its name. */
export const taskKey = (tasks: readonly string[], area: PlotArea): string =>
  text('task', { x: area.right + 20, y: area.top + 10, 'font-weight': 'bold' }) +
  tasks
    .map((task, index) => {
      const [left, middle] = [area.right + 20, area.top + 30 + 18 * index];
      return (
        element('line', {
          x1: left,
          x2: left + 20,
          y1: middle,
          y2: middle,
          ...styleOf(index),
          'stroke-width': 3,
        }) + text(shortened(task), { x: left + 26, y: middle + 4 })
      );
    })
    .join('');

/** The size of a picture that has room for area, axes and key. */
export const sizeWithKey = (tasks: readonly string[], area: PlotArea) => ({
  width:
    area.right + 54 + Math.max(...['task', ...tasks.map(shortened)].map((name) => widthAtMost(name, 12))),
  height: Math.max(area.bottom + 48, area.top + 30 + 18 * tasks.length),
});

/** Tableau's ten colours; further tasks take them again, dashed. */
const colours = [
  '#4c78a8',
  '#f58518',
  '#e45756',
  '#72b7b2',
  '#54a24b',
  '#eeca3b',
  '#b279a2',
  '#ff9da6',
  '#9d755d',
  '#bab0ac',
];

export const styleOf = (index: number) => ({
  stroke: colours[index % colours.length] ?? '',
  ...(index < colours.length ? {} : { 'stroke-dasharray': '6 3' }),
});

const shortened = (name: string): string => (name.length > 30 ? `${name.slice(0, 29)}…` : name);
