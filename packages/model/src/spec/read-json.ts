/** JSON files of a model directory. */
import { readFile } from 'node:fs/promises';

import { ModelError } from '../model-error.js';
import { type Config, partOf } from './config-reader.js';

/**
 * The object in a JSON file, or undefined if the file cannot be read.
 *
 * @throws ModelError naming `where` when the file is not JSON or holds anything but an object.
 */
export async function readJsonObject(path: string, where: string): Promise<Config | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ModelError('MODEL_FILE_DAMAGED', where, `${path} is not JSON`, { cause });
  }
  const object = partOf({ value }, 'value');
  if (!object) throw new ModelError('MODEL_FILE_DAMAGED', where, `${path} is not a JSON object`);
  return object;
}
