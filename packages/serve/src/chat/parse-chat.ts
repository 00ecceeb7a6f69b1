/** From the body of a request to a chat request: everything that is wrong with it is said at once. */
import { nearestSpelling, quoteText } from '@contextlora/task-graph';
import type { z } from 'zod';

import { ServeError } from '../serve-error.js';
import { type ChatRequest, chatRequestSchema } from './chat-schema.js';

/** @throws ServeError (`SERVE_INPUT_INVALID`) listing every problem with its place. */
export function parseChat(body: string): ChatRequest {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new ServeError('SERVE_INPUT_INVALID', 'chat', `the body is not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  const { success, data, error } = chatRequestSchema.safeParse(value);
  if (success) return data;
  const problems = error.issues.flatMap((issue) => describe(issue));
  const shown = problems.slice(0, 10).map(({ message }) => message);
  const rest = problems.length > 10 ? [`… and ${problems.length - 10} more`] : [];
  throw new ServeError('SERVE_INPUT_INVALID', 'chat', [...shown, ...rest].join('; '), {
    parameter: problems[0]?.parameter ?? '',
  });
}

interface Problem {
  readonly parameter: string;
  readonly message: string;
}

type Path = readonly PropertyKey[];

function describe(issue: z.core.$ZodIssue, above: Path = []): Problem[] {
  const path = [...above, ...issue.path];
  const place = placeOf(path);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => {
      const parameter = placeOf([...path, key]);
      const near = nearestSpelling(key, knownKeys);
      const hint = near === undefined || near === key ? 'leave it out' : `did you mean ${quoteText(near)}?`;
      return { parameter, message: `${parameter} is not supported; ${hint}` };
    });
  if (issue.code === 'invalid_union') {
    // The alternative that got furthest is the one that was meant.
    const depth = (issues: readonly z.core.$ZodIssue[]) =>
      Math.max(0, ...issues.map((one) => one.path.length));
    const [best] = [...issue.errors].sort((p, q) => depth(q) - depth(p));
    if (best && depth(best) > 0) return best.flatMap((one) => describe(one, path));
  }
  const what = issue.message.replace(/^Invalid input: /, '');
  return [{ parameter: place, message: `${place === '' ? 'the body' : place}: ${what}` }];
}

const knownKeys = Object.keys(chatRequestSchema.shape);

/** `messages[0].content` */
const placeOf = (path: Path): string =>
  path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`))
    .join('');
