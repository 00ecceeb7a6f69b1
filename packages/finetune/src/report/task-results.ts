/** From evaluations to the rows of the report. */
import { chanceOf, macroAverage } from '@contextlora/trainer';

import { mainTestOf, type TaskData } from '../data/task-data.js';
import type { TaskEvaluation } from '../run/evaluate-task.js';
import type { RecordedEvaluation } from '../run/run-record.js';
import type { RunReport, TaskResult } from './run-report.js';

export interface Evaluations {
  /** Task → evaluation of the base alone on the main test set. */
  readonly base: ReadonlyMap<string, Pick<TaskEvaluation, 'accuracy'>>;
  /** `${task}/${when}/${test}` → evaluation. */
  readonly trained: ReadonlyMap<string, Pick<RecordedEvaluation, 'accuracy' | 'predictionsSha256'>>;
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
    const validation = trained.get(`${id}/validation/validation`);
    return {
      id,
      chance: answer.type === 'label' ? chanceOf(answer.labels) : null,
      base: base.get(id)?.accuracy ?? null,
      afterOwnPhase: afterPhase?.accuracy ?? null,
      final: final?.accuracy ?? null,
      bitIdentical: afterPhase && final ? afterPhase.predictionsSha256 === final.predictionsSha256 : null,
      ...(validation ? { validation: validation.accuracy } : {}),
      otherTests: Object.fromEntries(
        others.flatMap((name) => {
          const evaluation = trained.get(`${id}/final/${name}`);
          return evaluation ? [[name, evaluation.accuracy]] : [];
        }),
      ),
      ...(probe === undefined ? {} : { pixelProbe: probe }),
    };
  });
  const tested = tasks.filter(({ final }) => final !== null);
  const mean = (key: 'chance' | 'base' | 'afterOwnPhase' | 'final') => {
    const values = tested.flatMap((task) => task[key] ?? []);
    return values.length > 0 && values.length === tested.length ? macroAverage(values) : null;
  };
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
