/** A question that must be answered before something begins. */
import { createInterface } from 'node:readline/promises';

import { CliError } from '../cli-error.js';
import { type CommandContext, Stopped } from '../command-context.js';

/**
 * Asks on a terminal; whether the answer was yes.
 *
 * @throws CliError (`CLI_OPTIONS_INVALID`) when nobody can be asked.
 */
export async function confirm(
  question: string,
  { input, output, signal }: Pick<CommandContext, 'input' | 'output' | 'signal'>,
): Promise<boolean> {
  if (input.isTTY !== true)
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'confirm',
      'nobody can be asked here, as the input is not a terminal; say --yes to begin, or --dry-run to see only what would happen',
    );
  const lines = createInterface({ input, output });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if (signal.aborted) throw new Stopped();
    throw error;
  } finally {
    lines.close();
  }
}
