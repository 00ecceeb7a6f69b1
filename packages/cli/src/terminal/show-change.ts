/** What a change of a run means, before it begins. */
import type { ChangePlan } from '@contextlora/finetune';

import { clockTime } from './progress.js';
import { formatTable } from './table.js';

export interface ChangeEstimate {
  /** Tasks that train, in order. */
  readonly trained: readonly string[];
  readonly stepsOf: (task: string) => number;
  /** Task → seconds of training on this machine; undefined if nothing trains. */
  readonly secondsByTask: Readonly<Record<string, number>>;
}

/** What trains and why, how long it takes, what stays and what goes. */
export function changeLines(
  { kept, retrained, removed }: ChangePlan,
  { trained, stepsOf, secondsByTask }: ChangeEstimate,
): string[] {
  const reasons = new Map(retrained.map(({ task, reasons: all }) => [task, all.join('; ')]));
  const timeOf = (task: string) => `about ${clockTime(secondsByTask[task] ?? 0)}`;
  const table = formatTable(
    ['trains', 'because', 'steps', 'time'],
    trained.map((task) => [task, reasons.get(task) ?? 'it is new', String(stepsOf(task)), timeOf(task)]),
  );
  const steps = trained.reduce((sum, task) => sum + stepsOf(task), 0);
  const seconds = Object.values(secondsByTask).reduce((sum, one) => sum + one, 0);
  return [
    ...(trained.length > 0 ? [...table, ''] : []),
    ...(kept.length > 0
      ? [`${kept.join(', ')} ${kept.length === 1 ? 'stays as it is' : 'stay as they are'}, to the byte.`]
      : ['No task stays as it is.']),
    ...(removed.length > 0 ? [`${removed.join(', ')} ${removed.length === 1 ? 'is' : 'are'} removed.`] : []),
    trained.length > 0
      ? `${steps} steps in all, about ${clockTime(seconds)} on this machine, and the evaluation.`
      : 'Nothing trains.',
  ];
}
