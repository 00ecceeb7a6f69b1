/** A question with an answer that is taken where none is typed. */
import { createInterface } from 'node:readline/promises';

import { CliError } from '../cli-error.js';
import { type CommandContext, Stopped } from '../command-context.js';

/**
 * Asks on a terminal.
 *
 * @throws CliError (`CLI_OPTIONS_INVALID`) when nobody can be asked.
 */
export async function ask(
  question: string,
  {
    preset,
    context: { input, output, signal },
  }: { preset: string; context: Pick<CommandContext, 'input' | 'output' | 'signal'> },
): Promise<string> {
  if (input.isTTY !== true)
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'ask',
      `nobody can be asked here, as the input is not a terminal; say --yes to take what is offered (${preset})`,
    );
  const lines = createInterface({ input, output });
  try {
    const answer = (await lines.question(`${question} [${preset}] `, { signal })).trim();
    return answer === '' ? preset : answer;
  } catch (error) {
    if (signal.aborted) throw new Stopped();
    throw error;
  } finally {
    lines.close();
  }
}
