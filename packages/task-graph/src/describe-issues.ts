/** What the schema of a file finds, in words. */
import type { z } from 'zod';

import { didYouMean, type Located } from './check-tasks.js';
import { quoteText } from './quote-text.js';

export interface DescribeOptions {
  /** A scalar as the file has it. */
  readonly sourceOf: (path: readonly PropertyKey[]) => string | undefined;
  /** The keys that a map at a path may have. */
  readonly keysAt: (path: readonly PropertyKey[]) => readonly string[];
}

/** One problem per unknown key and per wrong value. */
export function* describeIssues(
  issues: readonly z.core.$ZodIssue[],
  { sourceOf, keysAt }: DescribeOptions,
): Generator<Located> {
  for (const issue of issues) {
    const { path } = issue;
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(path);
      for (const key of issue.keys)
        yield { path: [...path, key], message: `unknown key ${quoteText(key)}${didYouMean(key, known)}` };
    } else if (issue.code === 'invalid_union' && issue.errors.some(isWithin)) {
      // The alternative that got furthest is the one that was meant.
      const [inner = []] = [...issue.errors].sort((p, q) => depthOf(q) - depthOf(p));
      yield* describeIssues(
        inner.map((one) => ({ ...one, path: [...path, ...one.path] })),
        { sourceOf, keysAt },
      );
    } else {
      const field = path.filter((part) => typeof part === 'string').at(-1);
      yield {
        path,
        message: `${field === undefined ? '' : `${quoteText(field)}: `}${messageOf(issue, sourceOf(path))}`,
      };
    }
  }
}

const depthOf = (issues: readonly z.core.$ZodIssue[]) => Math.max(...issues.map(({ path }) => path.length));

const isWithin = (issues: readonly z.core.$ZodIssue[]) =>
  issues.some(({ path, code }) => path.length > 0 || code === 'invalid_key');

function messageOf(issue: z.core.$ZodIssue, source: string | undefined): string {
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  if (issue.code === 'invalid_union' && issue.path.at(-1) === 'test')
    return 'must be a path, or a path for the name of each test set, as in { test: a.jsonl, night: b.jsonl }';
  if (issue.code === 'invalid_type' && issue.expected === 'string' && source !== undefined)
    return source === '' || source === '~'
      ? 'a text is missing here'
      : `${source} is not read as text but as ${kindOf(source)}; put it in quotes: ${quoteText(source)}`;
  return issue.message.replace(/^Invalid input: /, '');
}

/** What YAML 1.2 reads an unquoted word as that is no text. */
function kindOf(source: string): string {
  if (/^(true|false)$/i.test(source)) return 'true or false';
  return /^null$/i.test(source) ? 'nothing' : 'a number';
}
