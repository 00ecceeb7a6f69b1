/** Checks the options of a public function. */
import { problemsError, type InputProblem } from '../scheduler-error.js';
import { type Check, checkFields } from './check-values.js';

/** @throws SchedulerError that lists every option that is unknown or makes no sense. */
export function requireOptions(
  options: unknown,
  where: string,
  checks: Readonly<Record<string, Check>>,
): void {
  const problems: InputProblem[] = [];
  checkFields(options, 'options', { optional: checks }, (path, message) => problems.push({ path, message }));
  if (problems.length > 0) throw problemsError('SCHEDULER_INPUT_INVALID', where, problems);
}
