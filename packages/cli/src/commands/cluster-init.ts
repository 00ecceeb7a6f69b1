/** `contextlora cluster init`: keys and certificates for a new cluster. */
import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { ifThere, writeWhole } from '@contextlora/lora/files';
import type { ClusterFile } from '@contextlora/runtime/engine';

import { CliError } from '../cli-error.js';
import { identityFiles } from '../cluster/identity.js';
import { loadSecurity } from '../cluster/load-runtime.js';
import { checkDeviceNames, deviceDirectory } from '../cluster/open-engine.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { collect, positiveWhole } from '../option-values.js';

interface InitOptions {
  readonly device: readonly string[];
  readonly coordinator: string;
  readonly host: readonly string[];
  readonly port: number;
  readonly name: string;
  readonly days: number;
}

export function addClusterInitCommand({ program, context: { now, output }, runToEnd }: CommandSetup): void {
  program
    .command('init <directory>')
    .description('make keys and certificates for the devices of a new cluster, in a new directory')
    .requiredOption('--device <name>', 'a device that works; repeatable', collect)
    .requiredOption('--host <host>', 'name or address by which devices reach the server; repeatable', collect)
    .option('--coordinator <name>', 'the device that makes plans', 'coordinator')
    .option('--port <n>', 'port of the server', positiveWhole, 4222)
    .option('--name <name>', 'name of the cluster', 'home')
    .option('--days <n>', 'how long the certificates are good for', positiveWhole, 365)
    .addHelpText(
      'after',
      helpExamples([
        [
          'contextlora cluster init home/ --device orin --device nano --host 192.168.1.10',
          'make keys; then copy home/devices/orin to the device orin, and to no other',
        ],
      ]),
    )
    .action((directory: string, options: InitOptions) =>
      runToEnd(async () => {
        const file = await initCluster(directory, options, now());
        output.write(
          `Keys for ${file.devices.map(({ name }) => name).join(', ')} are in ${directory}. Copy each device's directory below ${join(directory, 'devices')} to that device alone.\n` +
            `Start the server where it is reached as ${file.server}: contextlora cluster up ${directory}\n` +
            `The certificates are good for ${options.days} days; the key that made them is not kept, so that a cluster with other devices gets a new directory.\n`,
        );
      }),
    );
}

async function initCluster(
  directory: string,
  { device, coordinator, host, port, name, days }: InitOptions,
  now: Date,
): Promise<ClusterFile> {
  const names = [coordinator, ...device];
  checkDeviceNames(names);
  const found = await ifThere(readdir(directory));
  if (found && found.length > 0)
    throw new CliError(
      'CLI_OPTIONS_INVALID',
      'cluster init',
      `${directory} is not empty; name a directory that is new, since keys are never replaced`,
    );
  const { issueCertificates } = await loadSecurity();
  const secrets = await issueCertificates({
    cluster: name,
    serverHosts: [...new Set([...host, 'localhost', '127.0.0.1'])],
    serverPort: port,
    devices: names.map((one) => ({ name: one, role: one === coordinator ? 'coordinator' : 'worker' })),
    now,
    days,
  });
  const clusterText = `${JSON.stringify(secrets.file, null, 2)}\n`;
  await writePrivate(directory, {
    [identityFiles.cluster]: clusterText,
    [identityFiles.ca]: secrets.server.ca,
  });
  await writePrivate(join(directory, 'server'), {
    [identityFiles.certificate]: secrets.server.certificate,
    [identityFiles.key]: secrets.server.key,
  });
  await mkdir(join(directory, 'devices'), { mode: 0o700 });
  for (const [one, { tls, signingKey }] of secrets.devices)
    await writePrivate(deviceDirectory(directory, one), {
      [identityFiles.cluster]: clusterText,
      [identityFiles.ca]: tls.ca,
      [identityFiles.certificate]: tls.certificate,
      [identityFiles.key]: tls.key,
      [identityFiles.signingKey]: signingKey,
    });
  return secrets.file;
}

/** Writes files that only their owner can read, into a directory that only its owner can enter. */
async function writePrivate(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  for (const [name, content] of Object.entries(files)) {
    await writeWhole(join(directory, name), content);
    await chmod(join(directory, name), 0o600);
  }
}
