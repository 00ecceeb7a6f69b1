/** What a change of a run must not be. */
import { FinetuneError } from '../finetune-error.js';
import { rowsInput } from '../run/run-inputs.js';
import type { ChangePlan, RunVersion } from './plan-change.js';

/**
 * Checks a change that was planned; `problems` are those that its command finds in the plan.
 *
 * @throws FinetuneError (`FINETUNE_CHANGE_INVALID`) with all problems: a change that is none, and shares of ranks, which stay what they are.
 */
export function checkChange(
  before: RunVersion,
  after: RunVersion,
  { plan, problems: found = [] }: { readonly plan: ChangePlan; readonly problems?: readonly string[] },
): void {
  const old = new Map(before.file.tasks.map(({ id, share }) => [id, share]));
  const shares = after.file.tasks.flatMap(({ id, share }) => {
    if (old.has(id))
      return old.get(id) === share
        ? []
        : [`task "${id}" has another share, but ranks stay what they are in a change; leave it as it was`];
    return share === undefined
      ? []
      : [`the new task "${id}" has a share, but no ranks are left to share; give their number with --rank`];
  });
  const problems = [...found, ...shares];
  if (problems.length === 0 && isNothing(before, after, plan)) problems.push('nothing changed');
  if (problems.length > 0)
    throw new FinetuneError(
      'FINETUNE_CHANGE_INVALID',
      'checkChange',
      ['the run cannot be changed like this:', ...problems.map((problem) => `  ${problem}`)].join('\n'),
      { problems },
    );
}

/** Whether neither a segment nor an evaluation would differ. */
function isNothing(
  { file, inputs: before }: RunVersion,
  { inputs: after }: RunVersion,
  { retrained, added, removed }: ChangePlan,
): boolean {
  if (retrained.length + added.length + removed.length > 0) return false;
  return file.tasks.every(({ id, data: { test = {} } }) =>
    [
      rowsInput('validation', id),
      ...Object.keys(test).map((name) => rowsInput({ test: name }, id)),
      `the definition of task "${id}"`,
    ].every((name) => before[name] === after[name]),
  );
}
