/** Text and JSON files of a model directory. */
import { readFile } from 'node:fs/promises';

import { ifThere } from '@contextlora/lora/files';

import { ModelError } from '../model-error.js';
import { type Config, partOf } from './config-reader.js';

/**
 * The text of a UTF-8 file, with or without a byte order mark, or undefined if there is no such file.
 *
 * @throws ModelError naming `where` when the file cannot be read or is in another encoding.
 */
export async function readText(path: string, where: string): Promise<string | undefined> {
  const bytes = await ifThere(readFile(path)).catch((cause: unknown) => {
    throw new ModelError('MODEL_FILE_MISSING', where, `cannot read ${path} (${(cause as Error).message})`, {
      cause,
    });
  });
  if (bytes === undefined) return undefined;
  const [first, second] = bytes;
  const isUtf16 =
    (first === 0xff && second === 0xfe) ||
    (first === 0xfe && second === 0xff) ||
    (bytes.length > 1 && (first === 0 || second === 0));
  try {
    if (!isUtf16) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ModelError('MODEL_FILE_DAMAGED', where, `${path} is not UTF-8; save it as UTF-8`, { cause });
  }
  throw new ModelError('MODEL_FILE_DAMAGED', where, `${path} is UTF-16; save it as UTF-8`);
}

/**
 * The object in a JSON file, or undefined if there is no such file.
 *
 * @throws ModelError naming `where` when the file cannot be read, is not JSON or holds anything but an object.
 */
export async function readJsonObject(path: string, where: string): Promise<Config | undefined> {
  const text = await readText(path, where);
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
