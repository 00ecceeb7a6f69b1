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
  const text = z
    .string()
    .refine(
      (value) => !/\0|\p{Cs}/u.test(value),
      'holds a NUL character or half of a surrogate pair; remove it',
    );
  const path = text.min(1).max(4096);
  // A letter first: JavaScript moves names that are numbers to the front, but the first test set is the main one.
  const testName = z
    .string()
    .regex(idPattern, 'the name of a test set must be a letter, then up to 63 letters, digits, "-" or "_"')
    .refine((name) => !isReserved(name), 'is a name that every JavaScript object has; choose another');

  const answer = z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('label'),
      labels: z.array(text.min(1).max(200)).min(2).max(1000),
    }),
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json'), schema: z.record(z.string(), z.unknown()) }),
  ]);

  const task = z.strictObject({
    id: z
      .string()
      .regex(idPattern, 'must be a letter, then up to 63 letters, digits, "-" or "_"')
      .refine((id) => !isReserved(id), 'is a name that every JavaScript object has; choose another')
      .refine((id) => id !== 'text', '"text" is the slot of the input text; choose another id'),
    dependsOn: z.array(z.string()).max(1000).default([]),
    instruction: text.min(1).max(20_000),
    inputs: z
      .array(z.enum(['text', 'image', 'audio'], { error: 'must be text, image or audio' }))
      .min(1)
      .refine((inputs) => new Set(inputs).size === inputs.length, 'lists an input twice'),
    answer,
    data: z
      .strictObject({
        train: path.optional(),
        validation: path.optional(),
        test: z.union([path, z.record(testName, path)]).optional(),
      })
      .default({}),
    share: z.number().min(1e-6).max(1e6).optional(),
  });

  return z.strictObject({
    version: z.literal(1),
    name: text.max(200).optional(),
    tasks: z.array(task).min(1).max(maximumTasks),
  });
}

/** JSON Schema (draft 2020-12) of a task file, for editors. */
export function taskFileJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(taskFileSchema(), { io: 'input' });
}
