/**
 * The regular expressions of `adapter_config.json`. They are Python's and come from an untrusted file: what JavaScript reads differently
 * is refused, and matching runs against the clock.
 */
import { runInNewContext } from 'node:vm';

import { LoraError } from '../lora-error.js';

/** Why an expression cannot be used, or undefined. */
export function expressionProblem(source: string): string | undefined {
  // Escapes of other letters, groups with flags or names, references, {,n} and a leading ] in a set differ between the languages.
  const foreign = /\\[^\WdDwWsSbB]|\\$|\(\?(?!:|=|!|<=|<!)|\{,|\[\^?\]/.exec(source.replaceAll('\\\\', ''));
  if (foreign)
    return `is an expression with "${foreign[0]}", which is not supported; name the modules instead`;
  try {
    new RegExp(source);
    return undefined;
  } catch {
    return 'is not a regular expression';
  }
}

const millisecondsAtMost = 2000;

/**
 * Those of the names that an expression which {@link expressionProblem} accepts matches: whole, or with `ends` from any dot on.
 *
 * @throws LoraError (`LORA_ADAPTER_UNUSABLE`) when it takes too long.
 */
export function namesMatching(
  source: string,
  names: readonly string[],
  { ends = false }: { ends?: boolean } = {},
): ReadonlySet<string> {
  const expression = new RegExp(`^${ends ? '(?:.*\\.)?' : ''}(?:${source})$`);
  // Without repetition no expression is slow, and a context costs a millisecond.
  const test = (name: string) => expression.test(name);
  if (!/[*+?{]/.test(source)) return new Set(names.filter(test));
  try {
    // Node can stop a script in another context, even within an expression.
    const work = () => names.filter(test);
    return new Set(runInNewContext('work()', { work }, { timeout: millisecondsAtMost }) as string[]);
  } catch (cause) {
    if ((cause as { code?: unknown } | null)?.code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw cause;
    throw new LoraError(
      'LORA_ADAPTER_UNUSABLE',
      'readPeftFolder',
      `the expression ${JSON.stringify(source.slice(0, 80))} of the adapter takes too long to match; name the modules instead`,
      { cause },
    );
  }
}
