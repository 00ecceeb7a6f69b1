/** A line that a person types after a question. */
import { createInterface } from 'node:readline/promises';

import { CliError } from '../cli-error.js';
import { type CommandContext, Stopped } from '../command-context.js';

/** Where a person can be asked. */
export type Asked = Pick<CommandContext, 'input' | 'output' | 'signal'>;

/**
 * The answer, without the white space around it; `wayOut` is what to do where nobody can be asked.
 *
 * @throws CliError (`CLI_OPTIONS_INVALID`) when the input is not a terminal.
 */
export async function askLine(
  question: string,
  { input, output, signal }: Asked,
  { where, wayOut }: { readonly where: string; readonly wayOut: string },
): Promise<string> {
  if (input.isTTY !== true)
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      where,
      `nobody can be asked here, as the input is not a terminal; ${wayOut}`,
    );
  const lines = createInterface({ input, output });
  try {
    return (await lines.question(question, { signal })).trim();
  } catch (error) {
    if (signal.aborted) throw new Stopped();
    throw error;
  } finally {
    lines.close();
  }
}
