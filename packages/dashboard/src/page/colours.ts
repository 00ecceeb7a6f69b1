/** A colour for each task: the same as in the Gantt chart of the plan, which gives them in the order of its jobs. */
import type { RunView } from '../view/run-view.js';

/** Okabe and Ito's colours, which people who see few colours tell apart. */
const colours = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442'];

export type ColourOf = (task: string) => string;

export function coloursOfRun({ plan, tasks }: Pick<RunView, 'plan' | 'tasks'>): ColourOf {
  const planned = plan?.plan.jobs.flatMap((job) => job.tasks) ?? [];
  const order = [...new Set([...planned, ...tasks.map(({ id }) => id)])];
  return (task) => colours[order.indexOf(task) % colours.length] ?? '';
}
