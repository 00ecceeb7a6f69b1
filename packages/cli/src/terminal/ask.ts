/** A question with an answer that is taken where none is typed. */
import { askLine, type Asked } from './ask-line.js';

/**
 * Asks on a terminal.
 *
 * @throws CliError (`CLI_OPTIONS_INVALID`) when nobody can be asked.
 */
export async function ask(
  question: string,
  { preset, context }: { preset: string; context: Asked },
): Promise<string> {
  const wayOut = `say --yes to take what is offered (${preset})`;
  const answer = await askLine(`${question} [${preset}] `, context, { where: 'ask', wayOut });
  return answer === '' ? preset : answer;
}
