/** A device's directory: who it is in a cluster, and what proves it. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { TlsIdentity } from '@contextlora/runtime';
import { type ClusterFile, parseClusterFile } from '@contextlora/runtime/engine';

import { CliError } from '../cli-error.js';

export interface Identity {
  readonly device: string;
  readonly file: ClusterFile;
  readonly tls: TlsIdentity;
  /** Signs control messages. */
  readonly key: KeyObject;
}

/** Names of the files in a device's directory. */
export const identityFiles = {
  cluster: 'cluster.json',
  ca: 'ca.pem',
  certificate: 'certificate.pem',
  key: 'key.pem',
  signingKey: 'signing-key.pem',
} as const;

/** @throws CliError if a file is missing, a key is open to others, or the certificate is not of a registered device; never with what is in a key. */
export async function readIdentity(directory: string): Promise<Identity> {
  const path = (name: keyof typeof identityFiles) => join(directory, identityFiles[name]);
  const read = async (name: keyof typeof identityFiles) => {
    try {
      return await readFile(path(name), 'utf8');
    } catch (cause) {
      throw invalid(
        `${path(name)} cannot be read (${String((cause as NodeJS.ErrnoException).code)}); "contextlora cluster init" writes a directory for each device`,
      );
    }
  };
  for (const name of ['key', 'signingKey'] as const) await refuseOpenKey(path(name));
  const [text, ca, certificate, key, signingKey] = await Promise.all([
    read('cluster'),
    read('ca'),
    read('certificate'),
    read('key'),
    read('signingKey'),
  ]);
  const file = parseClusterFile(text, path('cluster'));
  const device = /^CN=(.+)$/m.exec(
    parsed(path('certificate'), () => new X509Certificate(certificate)).subject,
  )?.[1];
  if (!file.devices.some(({ name }) => name === device))
    throw invalid(
      `${path('certificate')} is of ${device ?? 'nobody'}, who is not registered in ${path('cluster')}`,
    );
  return {
    device: device!,
    file,
    tls: { ca, certificate, key },
    key: parsed(path('signingKey'), () => createPrivateKey(signingKey)),
  };
}

async function refuseOpenKey(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  // Windows keeps permissions elsewhere.
  if (info && process.platform !== 'win32' && (info.mode & 0o077) !== 0)
    throw invalid(
      `${path} can be read by others than its owner; make new keys if that is not meant, or: chmod 600 ${path}`,
    );
}

/** An error of a parser may quote what it parsed. */
function parsed<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw invalid(`${path} is not in PEM format`);
  }
}

const invalid = (what: string) => new CliError('CLI_FILE_INVALID', 'cluster', what);
