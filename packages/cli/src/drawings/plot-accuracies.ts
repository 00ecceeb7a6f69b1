/** The accuracies of a run as one picture: what each task was measured to be, and when. */
import type { AccuracyPoint } from '@contextlora/finetune';
import { scaleLinear } from 'd3-scale';

import { drawAxes, linearTicks } from './axes.js';
import { element, path, picture } from './svg-elements.js';
import { sizeWithKey, styleOf, taskKey } from './task-key.js';

/** Draws a dot for each evaluation, and a line through those of a task on one set: level where nothing was forgotten; returns SVG. */
export function plotAccuracies(points: readonly AccuracyPoint[], { title }: { title: string }): string {
  const tasks = [...new Set(points.map(({ task }) => task))];
  const area = { left: 72, right: 892, top: 36, bottom: 336 };
  const lastStep = points.reduce((most, { step }) => Math.max(most, step), 1);
  const x = scaleLinear([0, lastStep], [area.left, area.right]);
  const y = scaleLinear([0, 1], [area.bottom, area.top]);
  const drawn = tasks.flatMap((task, index) => {
    const ofTask = points.filter((point) => point.task === task);
    const sets = [...new Set(ofTask.map(({ test }) => test))];
    return sets.map((set) => {
      const places = ofTask
        .filter(({ test }) => test === set)
        .map(({ step, accuracy }) => [x(step), y(accuracy)] as const);
      const { stroke } = styleOf(index);
      return (
        path(places, { ...styleOf(index), 'stroke-width': 1.5 }) +
        places.map(([cx, cy]) => element('circle', { cx, cy, r: 3, fill: stroke })).join('')
      );
    });
  });
  return picture(
    { ...sizeWithKey(tasks, area), title },
    drawAxes(area, {
      x: { title: 'optimizer step', ticks: linearTicks(x, Math.min(lastStep, 10)) },
      y: { title: 'accuracy on each set of rows', ticks: linearTicks(y, 10) },
    }),
    ...drawn,
    taskKey(tasks, area),
  );
}
