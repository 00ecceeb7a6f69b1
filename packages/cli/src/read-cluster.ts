/** Reads cluster files; the planner checks their fields. */
import { readFile, stat } from 'node:fs/promises';

import { ifThere } from '@contextlora/lora/files';
import { type MeasuredCluster, mergeClusters, type MergedCluster } from '@contextlora/scheduler';
import { decodeText } from '@contextlora/task-graph';

import { CliError } from './cli-error.js';

/** Larger than any cluster that can be planned for. */
const largestBytes = 64e6;

/** @throws CliError if the file cannot be read, is too large, or is not a JSON object with lists of devices and links. */
async function readCluster(path: string): Promise<MeasuredCluster> {
  const found = await readClusterIfAny(path);
  if (found) return found;
  throw invalid(
    `there is no file ${path}; "contextlora profile --measure MODEL --out ${path}" writes one for this machine, ` +
      `"contextlora profile --cluster nano,tx2" prints one for published boards, and the README of @contextlora/scheduler describes the format`,
  );
}

/** Like {@link readCluster}, but undefined if there is no file. */
export async function readClusterIfAny(path: string): Promise<MeasuredCluster | undefined> {
  const info = await ifThere(stat(path));
  if (!info?.isFile()) return undefined;
  if (info.size > largestBytes)
    throw invalid(`${path} has ${info.size} bytes; a cluster file has at most ${largestBytes}`);
  const text = decodeText(await readFile(path));
  if (typeof text !== 'string') throw invalid(`${path}:${text.line}: ${text.message}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(`${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const { devices, links } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (!Array.isArray(devices) || !Array.isArray(links))
    throw invalid(`${path} must contain an object with two lists, "devices" and "links"`);
  return value as MeasuredCluster;
}

/** Merges cluster files into one cluster. */
export async function readClusters(paths: readonly string[]): Promise<MergedCluster> {
  return mergeClusters(
    await Promise.all(paths.map(async (path) => ({ path, cluster: await readCluster(path) }))),
  );
}

const invalid = (what: string, options?: ErrorOptions) =>
  new CliError('CLI_FILE_INVALID', 'readCluster', what, options);
