import { readFile } from 'node:fs/promises';

import { parseClusterFile } from '@contextlora/runtime/engine';

import { CliError } from '../cli-error.js';

/** The name of the coordinator in a cluster file. @throws CliError if there is none. */
export async function findCoordinator(path: string): Promise<string> {
  const { devices } = parseClusterFile(await readFile(path, 'utf8'), path);
  const found = devices.find(({ role }) => role === 'coordinator');
  if (found) return found.name;
  throw new CliError('CLI_FILE_INVALID', 'cluster', `${path} names no coordinator, who alone may make plans`);
}
