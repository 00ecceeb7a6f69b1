/** JSON that was read from a file and must have a form. */
import type * as z from 'zod';

import { DashboardError } from '../dashboard-error.js';

/** @throws DashboardError `DASHBOARD_FILE_INVALID` that names the file, the place in it and the way out. */
export function parseJson<Schema extends z.ZodType>(
  text: string,
  { path, schema, wanted }: { readonly path: string; readonly schema: Schema; readonly wanted: string },
): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidFile(path, `is not JSON (${(error as Error).message}); it should be ${wanted}`, error);
  }
  const { data, error } = schema.safeParse(value);
  if (error) {
    const [issue] = error.issues;
    throw invalidFile(
      path,
      `is not ${wanted}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trimEnd(),
      error,
    );
  }
  return data;
}

export const invalidFile = (path: string, what: string, cause?: unknown) =>
  new DashboardError('DASHBOARD_FILE_INVALID', 'readRunView', `${path} ${what}`, { cause });
