/** A model directory that cannot be used; the message says what is wrong and what to do. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  constructor(where: string, what: string, options?: ErrorOptions) {
    super(`model/${where}: ${what}`, options);
  }
}

/** A heading and its problems, a line each, the first twenty. */
export function listProblems(heading: string, problems: readonly string[]): string {
  const shown = problems.slice(0, 20).map((problem) => `  ${problem}`);
  const rest = problems.length > 20 ? [`  … and ${problems.length - 20} more`] : [];
  return [heading, ...shown, ...rest].join('\n');
}
