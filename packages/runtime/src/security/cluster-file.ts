/** Who belongs to a cluster: the file that every device has. */
import { createPublicKey, type KeyObject } from 'node:crypto';

import { RuntimeError } from '../runtime-error.js';

/** Coordinators make plans; workers carry them out. */
export type DeviceRole = 'coordinator' | 'worker';

export interface RegisteredDevice {
  readonly name: string;
  readonly role: DeviceRole;
  /** Ed25519, SPKI in base64: what its messages are checked with. */
  readonly publicKey: string;
}

export interface ClusterFile {
  readonly version: 1;
  /** Part of every message, so that none of another cluster is taken for one of this. */
  readonly cluster: string;
  /** `host:port` of the server. */
  readonly server: string;
  readonly devices: readonly RegisteredDevice[];
}

/** The device's public key. */
export const publicKeyOf = ({ publicKey }: RegisteredDevice): KeyObject =>
  createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });

/**
 * Parses a cluster file.
 *
 * @throws RuntimeError `RUNTIME_INPUT_INVALID` with everything that is wrong with it.
 */
export function parseClusterFile(text: string, path: string): ClusterFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RuntimeError(
      'RUNTIME_INPUT_INVALID',
      'parseClusterFile',
      `${path} is not JSON: ${String(cause)}`,
      {
        cause,
      },
    );
  }
  const { version, cluster, server, devices } = (value ?? {}) as Record<string, unknown>;
  const problems: string[] = [];
  if (version !== 1) problems.push(`its version must be 1, got ${JSON.stringify(version)}`);
  if (!isName(cluster)) problems.push('"cluster" must be a name');
  if (!isName(server)) problems.push('"server" must be HOST:PORT');
  if (!Array.isArray(devices) || devices.length === 0) problems.push('"devices" must be a list of devices');
  const names = new Set<unknown>();
  for (const [index, device] of (Array.isArray(devices) ? (devices as unknown[]) : []).entries()) {
    const { name, role, publicKey } = (device ?? {}) as Partial<RegisteredDevice>;
    const where = `devices[${index}]`;
    if (!isDeviceName(name))
      problems.push(`${where}.name must have letters, digits and hyphens only, got ${JSON.stringify(name)}`);
    else if (names.has(name)) problems.push(`${where}.name: there is a second device ${name}`);
    names.add(name);
    if (role !== 'coordinator' && role !== 'worker')
      problems.push(`${where}.role must be coordinator or worker, got ${JSON.stringify(role)}`);
    if (!isEd25519(device as RegisteredDevice, publicKey))
      problems.push(`${where}.publicKey must be an Ed25519 key, SPKI in base64`);
  }
  if (problems.length > 0)
    throw new RuntimeError(
      'RUNTIME_INPUT_INVALID',
      'parseClusterFile',
      [`${path} is no cluster file:`, ...problems].join('\n  '),
    );
  return value as ClusterFile;
}

/** Whether a name can stand in a certificate, which names devices like hosts. */
const isDeviceName = (value: unknown): value is string =>
  typeof value === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(value);

const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= 200;

function isEd25519(device: RegisteredDevice, publicKey: unknown): boolean {
  if (typeof publicKey !== 'string') return false;
  try {
    return publicKeyOf(device).asymmetricKeyType === 'ed25519';
  } catch {
    return false;
  }
}
