/** `contextlora cluster up`: a server for a cluster, until Ctrl-C. */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { ifThere, writeWhole } from '@contextlora/lora/files';

import { CliError } from '../cli-error.js';
import { findCoordinator } from '../cluster/find-coordinator.js';
import { type Identity, identityFiles, readIdentity } from '../cluster/identity.js';
import { loadNats } from '../cluster/load-runtime.js';
import { startNatsProcess, untilStopped } from '../cluster/nats-process.js';
import { deviceDirectory, openEngine } from '../cluster/open-engine.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { naturalNumber } from '../option-values.js';

export function addClusterUpCommand({ program, context, run }: CommandSetup): void {
  program
    .command('up <directory>')
    .description(
      'start a NATS server until Ctrl-C: for the cluster of "cluster init", or for this machine only',
    )
    .option(
      '--port <n>',
      'port, 0 for any that is free; by default that of the cluster, or 4222',
      naturalNumber,
    )
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora cluster up home/', 'a server for registered devices, if "cluster init" made home/'],
        ['contextlora cluster up /tmp/development', 'a server that only this machine reaches'],
      ]),
    )
    .action((directory: string, { port }: { readonly port?: number }) =>
      run(() => runServer(resolve(directory), port, context)),
    );
}

async function runServer(
  directory: string,
  asked: number | undefined,
  { environment, output, signal }: CommandContext,
): Promise<'interrupted'> {
  const { serverConfiguration } = await loadNats();
  const coordinator = await coordinatorOf(directory);
  const port = asked ?? Number(coordinator?.file.server.split(':').at(-1) ?? 4222);
  const configuration = join(directory, 'nats.conf');
  await writeWhole(
    configuration,
    serverConfiguration({
      listen: `${coordinator ? '0.0.0.0' : '127.0.0.1'}:${port === 0 ? -1 : port}`,
      storeDirectory: join(directory, 'jetstream'),
      ...(coordinator && {
        secured: {
          file: coordinator.file,
          ca: join(directory, identityFiles.ca),
          certificate: join(directory, 'server', identityFiles.certificate),
          key: join(directory, 'server', identityFiles.key),
        },
      }),
    }),
  );
  await using server = await startNatsProcess(configuration, { environment });
  {
    // Workers may not make the store.
    await using opened = await openEngine(
      {
        server: server.address,
        ...(coordinator && { identity: deviceDirectory(directory, coordinator.device) }),
      },
      { name: 'coordinator' },
    );
    output.write(
      coordinator
        ? `NATS server ${server.version} at ${coordinator.file.server} (port ${server.address.split(':')[1]} of all addresses) for cluster ${opened.cluster}: ${coordinator.file.devices.map(({ name }) => name).join(', ')}, with TLS, until Ctrl-C.\n`
        : `NATS server ${server.version} at ${server.address} until Ctrl-C. Only this machine reaches it, and everybody on it may use it.\n`,
    );
  }
  const log = await untilStopped(server, signal);
  if (log === undefined) return 'interrupted';
  throw new CliError('CLI_MACHINE_UNSUPPORTED', 'cluster up', `the NATS server has ended by itself:\n${log}`);
}

/** The coordinator of the cluster that `cluster init` made here, if it did. */
async function coordinatorOf(directory: string): Promise<Identity | undefined> {
  const path = join(directory, identityFiles.cluster);
  if (!(await ifThere(stat(path)))) return undefined;
  return readIdentity(deviceDirectory(directory, await findCoordinator(path)));
}
