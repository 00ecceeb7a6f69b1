/** From a run and what it has recorded to what the page shows. */
import type { MetricsEntry, OpenedRun } from '@contextlora/finetune';
import { orderTasks } from '@contextlora/task-graph';

import { type LossPoint, mostPoints, type RunView, type TaskView } from './run-view.js';

/** Everything of the view but plan and question, which a run need not have. */
export function viewOfRun(
  run: Pick<
    OpenedRun,
    | 'directory'
    | 'file'
    | 'graph'
    | 'isFinished'
    | 'kind'
    | 'model'
    | 'partition'
    | 'phases'
    | 'settings'
    | 'trainedTasks'
  >,
  entries: readonly MetricsEntry[],
): RunView {
  const { directory, file, graph, isFinished, kind, model, partition, phases, settings, trainedTasks } = run;
  const isTrained = new Set(trainedTasks);
  return {
    name: file.name ?? directory,
    directory,
    kind,
    isFinished,
    model: model.name,
    settings: { ...settings },
    tasks: orderTasks(graph).map((id) => taskView(run, id, entries)),
    phases: phases.map(({ tasks, roles }) => ({
      tasks,
      roles,
      hasEnded: tasks.every((task) => isTrained.has(task)),
    })),
    linears: Object.entries(partition.layers).map(([name, { spans }]) => ({ name, spans })),
  };
}

function taskView(
  { graph, isFinished, trainedTasks }: Pick<OpenedRun, 'graph' | 'isFinished' | 'trainedTasks'>,
  id: string,
  entries: readonly MetricsEntry[],
): TaskView {
  const { instruction, dependsOn, inputs, answer } = graph.getNodeAttributes(id);
  const steps = entries.filter((entry) => entry.type === 'step').filter(({ task }) => task === id);
  const ends = entries.filter((entry) => entry.type === 'phaseEnd');
  const own = ends.findLastIndex(({ tasks }) => tasks.includes(id));
  const certificate = ends[own]?.certificate[id];
  const isTrained = isFinished || trainedTasks.includes(id);
  const last = steps.at(-1);
  return {
    id,
    instruction,
    dependsOn,
    inputs,
    labels: answer.type === 'label' ? answer.labels : [],
    state: isTrained ? 'trained' : last ? 'training' : 'waiting',
    steps: steps.length,
    ...(last ? { totalSteps: last.steps } : {}),
    losses: thinned(steps.map(({ step, loss }) => ({ step, loss }))),
    ...(certificate === undefined
      ? {}
      : {
          certificate,
          isUnchanged: ends.slice(own).every((end) => end.certificate[id] === certificate),
        }),
    accuracies: entries
      .filter((entry) => entry.type === 'evaluated')
      .filter(({ task }) => task === id)
      .map(({ test, when, accuracy }) => ({ test, when, accuracy })),
  };
}

/** Every n-th point and the last. */
function thinned(points: readonly LossPoint[]): LossPoint[] {
  const every = Math.ceil(points.length / (mostPoints - 1));
  return points.filter((_, index) => index % every === 0 || index === points.length - 1);
}
