/** The training losses of a run as one picture: tasks one after the other, each in its own colour. */
import type { LossPoint } from '@contextlora/finetune';
import { scaleLinear } from 'd3-scale';

import { drawAxes, linearTicks } from './axes.js';
import { path, picture } from './svg-elements.js';
import { sizeWithKey, styleOf, taskKey } from './task-key.js';

/** Draws every step's loss faintly and its mean with the `smoothSteps` steps before it boldly; returns SVG. */
export function plotLosses(
  points: readonly LossPoint[],
  { title, smoothSteps = 15 }: { title: string; smoothSteps?: number },
): string {
  const tasks = [...new Set(points.map(({ task }) => task))];
  const area = { left: 72, right: 892, top: 36, bottom: 336 };
  const lastStep = greatest(points.map(({ step }) => step));
  // No tick between two steps.
  const stepTicks = Math.min(lastStep, 10);
  const x = scaleLinear([0, lastStep], [area.left, area.right]);
  const y = scaleLinear([0, greatest(points.map(({ loss }) => loss))], [area.bottom, area.top]).nice();
  const place = ({ step, loss }: { readonly step: number; readonly loss: number }) =>
    [x(step), y(loss)] as const;
  const lines = tasks.map((task, index) => {
    const ofTask = points.filter((point) => point.task === task).sort((a, b) => a.step - b.step);
    const style = styleOf(index);
    return {
      raw: path(ofTask.map(place), { ...style, 'stroke-opacity': 0.25 }),
      smooth: path(runningMean(ofTask, smoothSteps).map(place), {
        ...style,
        'stroke-width': 2.5,
        'stroke-linejoin': 'round',
      }),
    };
  });
  return picture(
    { ...sizeWithKey(tasks, area), title },
    drawAxes(area, {
      x: { title: 'optimizer step', ticks: linearTicks(x, stepTicks) },
      y: { title: 'loss (nats)', ticks: linearTicks(y, 10) },
    }),
    ...lines.map(({ raw }) => raw),
    ...lines.map(({ smooth }) => smooth),
    taskKey(tasks, area),
  );
}

/** Losses that are no numbers (a run that diverged) are left out of the means. */
function runningMean(points: readonly LossPoint[], before: number): { step: number; loss: number }[] {
  return points.map(({ step }, index) => {
    const losses = points
      .slice(Math.max(0, index - before), index + 1)
      .map(({ loss }) => loss)
      .filter(Number.isFinite);
    return { step, loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length };
  });
}

/** Of the finite values, at least the smallest that an axis can end at. */
const greatest = (values: readonly number[]): number =>
  values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, value) : most), 0) || 1;
