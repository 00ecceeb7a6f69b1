/** One thing wrong with the input, and where. */
export interface InputProblem {
  /** Of the field, as in `devices[2].memoryBytes`. */
  readonly path: string;
  readonly message: string;
}

/** Everything that is wrong with a problem's description, at once. A class because callers show its list. */
export class SchedulerInputError extends Error {
  override readonly name = 'SchedulerInputError';
  readonly problems: readonly InputProblem[];

  constructor(where: string, problems: readonly InputProblem[]) {
    const lines = problems.map(({ path, message }) => `  ${path}: ${message}`);
    super(
      `scheduler/${where}: ${problems.length === 1 ? 'one problem' : `${problems.length} problems`}\n${lines.join('\n')}`,
    );
    this.problems = problems;
  }
}
