/** Reads any YAML file against a zod schema, with all problems at their lines; for the other files of a run. */
import type { z } from 'zod';

import { describeIssues } from './describe-issues.js';
import { openYaml } from './open-yaml.js';
import type { TaskFileProblem } from './task-graph-error.js';

/** The value of a file, or everything that is wrong with it, in the order of its lines. */
export type CheckedYaml<Value> =
  { readonly value: Value } | { readonly problems: readonly TaskFileProblem[] };

export interface CheckYamlOptions {
  /** What the file is in messages, as in "a task file". */
  readonly kind: string;
  /** The keys that a map at a path may have, for the nearest spelling of an unknown one. */
  readonly keysAt: (path: readonly PropertyKey[]) => readonly string[];
}

/** Parses YAML 1.2 and checks it against a schema; an empty file is an empty map. */
export function checkYaml<Value>(
  source: string | Uint8Array,
  schema: z.ZodType<Value>,
  { kind, keysAt }: CheckYamlOptions,
): CheckedYaml<Value> {
  const opened = openYaml(source, { kind });
  if ('problems' in opened) return opened;
  const { yaml } = opened;
  const parsed = schema.safeParse(yaml.value ?? {});
  if (parsed.success) return { value: parsed.data };
  const problems = Array.from(
    describeIssues(parsed.error.issues, { sourceOf: (path) => yaml.sourceOf(path), keysAt }),
    ({ path, message }) => ({ ...yaml.positionOf(yaml.offsetOf(path)), message }),
  );
  return { problems: problems.sort((p, q) => p.line - q.line || p.column - q.column) };
}
