/** This device's connection to its cluster. */
import { join } from 'node:path';

import { controlMessages, type Engine, type RefusedMessage } from '@contextlora/runtime/engine';

import { CliError } from '../cli-error.js';
import { type Identity, readIdentity } from './identity.js';
import { loadNats } from './load-runtime.js';

export interface ClusterOptions {
  /** Directory of this device, from `cluster init`. */
  readonly identity?: string;
  /** `host:port`. */
  readonly server?: string;
}

const defaultServer = '127.0.0.1:4222';
/** A cluster without registered devices, which is on one machine. */
const development = 'development';

export interface OpenedEngine extends AsyncDisposable {
  readonly engine: Engine;
  readonly cluster: string;
  readonly server: string;
  readonly identity: Identity | undefined;
}

/**
 * Connects to the cluster of an identity, or to a development server on this machine, in which the device is called `name`.
 *
 * @throws CliError, RuntimeError
 */
export async function openEngine(
  { identity: directory, server: asked }: ClusterOptions,
  { name, onRefused }: { readonly name: string; readonly onRefused?: (refused: RefusedMessage) => void },
): Promise<OpenedEngine> {
  const identity = directory === undefined ? undefined : await readIdentity(directory);
  const server = asked ?? identity?.file.server ?? defaultServer;
  const device = identity?.device ?? name;
  const cluster = identity?.file.cluster ?? development;
  const isCoordinator =
    !identity || identity.file.devices.some((one) => one.name === device && one.role === 'coordinator');
  const { connectNats, openNatsStore } = await loadNats();
  const connection = await connectNats(server, { name: device, ...(identity && { tls: identity.tls }) });
  try {
    const store = await openNatsStore(connection, { cluster, create: isCoordinator });
    const messages = controlMessages({
      cluster,
      device,
      ...(identity && { key: identity.key, devices: identity.file.devices }),
    });
    return {
      engine: { store, messages, ...(onRefused && { onRefused }) },
      cluster,
      server,
      identity,
      [Symbol.asyncDispose]: () => connection.close(),
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** The directory of a device below that of a cluster. */
export const deviceDirectory = (directory: string, device: string): string =>
  join(directory, 'devices', device);

/** @throws CliError if a name cannot be one of a device. */
export function checkDeviceNames(names: readonly string[]): void {
  const problems = names.filter((name) => !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(name));
  if (problems.length > 0)
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'cluster',
      `names of devices have letters, digits and hyphens only, got ${problems.join(', ')}`,
    );
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'cluster',
      `${twice} is named twice; the coordinator is a device too`,
    );
}
