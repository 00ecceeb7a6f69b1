/** The shape of a task file: one source for the checks, the types and the JSON schema of an editor. */
import * as z from 'zod';

import { isReserved } from './task-graph.js';

/** @internal */
export const maximumTasks = 1000;

const idPattern = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/**
 * A function, so that bundlers can drop zod from a program that only builds graphs.
 *
 * @internal
 */
export function taskFileSchema() {
  const path = z.string().min(1).max(4096);

  const answer = z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('label'),
      labels: z.array(z.string().min(1).max(200)).min(2).max(1000),
    }),
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json'), schema: z.record(z.string(), z.unknown()) }),
  ]);

  const task = z.strictObject({
    id: z
      .string()
      .regex(idPattern, 'must be a letter, then up to 63 letters, digits, "-" or "_"')
      .refine((id) => !isReserved(id), 'is a name that every JavaScript object has; choose another'),
    dependsOn: z.array(z.string()).max(1000).default([]),
    instruction: z.string().min(1).max(20_000),
    inputs: z.array(z.enum(['text', 'image', 'audio'])).min(1),
    answer,
    data: z
      .strictObject({
        train: path.optional(),
        validation: path.optional(),
        test: z.union([path, z.record(z.string(), path)]).optional(),
      })
      .default({}),
    share: z.number().positive().optional(),
  });

  return z.strictObject({
    version: z.literal(1),
    name: z.string().max(200).optional(),
    tasks: z.array(task).min(1).max(maximumTasks),
  });
}

/** JSON Schema (draft 2020-12) of a task file, for editors. */
export function taskFileJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(taskFileSchema(), { io: 'input' });
}
