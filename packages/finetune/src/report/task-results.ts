/** From evaluations to the rows of the report. */
import { chanceOf, macroAverage } from '@contextlora/trainer';

import { mainTestOf, type TaskData } from '../data/task-data.js';
import { samePredictions, type TaskEvaluation } from '../run/evaluate-task.js';
import type { RunReport, TaskResult } from './run-report.js';

export interface Evaluations {
  /** Task → evaluation of the base alone on the main test set. */
  readonly base: ReadonlyMap<string, TaskEvaluation>;
  /** `${task}/${when}/${test}` → evaluation. */
  readonly trained: ReadonlyMap<string, TaskEvaluation>;
  /** Task → test set → accuracy. */
  readonly probes: ReadonlyMap<string, Readonly<Record<string, number>>>;
}

/** One row per task, in the given order. */
export function taskResults(
  data: TaskData,
  order: readonly string[],
  { base, trained, probes }: Evaluations,
): Pick<RunReport, 'tasks' | 'macroAverage'> {
  const tasks = order.map((id): TaskResult => {
    const { answer } = data.graph.getNodeAttributes(id);
    const test = mainTestOf(data, id);
    const afterPhase = trained.get(`${id}/afterOwnPhase/${test}`);
    const final = trained.get(`${id}/final/${test}`);
    const others = Object.keys(data.rows[id]?.tests ?? {}).filter((name) => name !== test);
    const probe = probes.get(id)?.[test];
    return {
      id,
      chance: answer.type === 'label' ? chanceOf(answer.labels) : 0,
      base: base.get(id)?.accuracy ?? 0,
      afterOwnPhase: afterPhase?.accuracy ?? 0,
      final: final?.accuracy ?? 0,
      bitIdentical: afterPhase !== undefined && final !== undefined && samePredictions(afterPhase, final),
      otherTests: Object.fromEntries(
        others.map((name) => [name, trained.get(`${id}/final/${name}`)?.accuracy ?? 0]),
      ),
      ...(probe === undefined ? {} : { pixelProbe: probe }),
    };
  });
  const mean = (key: 'chance' | 'base' | 'afterOwnPhase' | 'final') =>
    macroAverage(tasks.map((task) => task[key]));
  return {
    tasks,
    macroAverage: {
      chance: mean('chance'),
      base: mean('base'),
      afterOwnPhase: mean('afterOwnPhase'),
      final: mean('final'),
    },
  };
}
