/** Reads a cluster file; what is in it the planner checks, field by field. */
import { readFile, stat } from 'node:fs/promises';

import type { Cluster } from '@contextlora/scheduler';

/** Larger than any list of devices that can be planned for. */
const largestBytes = 64e6;

/** @throws Error when the file cannot be read, is too large, or is no JSON object. */
export async function readCluster(path: string): Promise<Cluster> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile())
    throw new Error(
      `contextlora/readCluster: there is no file ${path}; "contextlora profile --cluster nano,tx2" prints one, and the README of @contextlora/scheduler shows its form`,
    );
  if (info.size > largestBytes)
    throw new Error(
      `contextlora/readCluster: ${path} has ${info.size} bytes; a cluster has ${largestBytes} at most`,
    );
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new Error(`contextlora/readCluster: ${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`contextlora/readCluster: ${path} must hold an object with "devices" and "links"`);
  return value as Cluster;
}
