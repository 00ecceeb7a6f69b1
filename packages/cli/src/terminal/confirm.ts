/** A question that must be answered before something begins. */
import { askLine, type Asked } from './ask-line.js';

/**
 * Asks on a terminal; whether the answer was yes.
 *
 * @throws CliError (`CLI_OPTIONS_INVALID`) when nobody can be asked.
 */
export async function confirm(question: string, context: Asked): Promise<boolean> {
  const wayOut = 'say --yes to begin, or --dry-run to see only what would happen';
  return /^y(es)?$/i.test(await askLine(`${question} [y/N] `, context, { where: 'confirm', wayOut }));
}
