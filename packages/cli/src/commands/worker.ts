/** `contextlora worker`: this machine works in a cluster. */
import type { ModelDigests } from '@contextlora/model';
import { RuntimeError, type Transport } from '@contextlora/runtime';
import {
  type ClusterPlan,
  joinCluster,
  type MemberState,
  workInCluster,
  type WorkEvent,
} from '@contextlora/runtime/engine';
import { serveLayers, type ServeLayersOptions } from '@contextlora/workloads';

import { openCarrier } from '../cluster/open-carrier.js';
import { type ClusterOptions, openEngine } from '../cluster/open-engine.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { positiveNumber, positiveWhole } from '../option-values.js';
import { showModelDigests } from './show-digests.js';

interface WorkerOptions extends ClusterOptions {
  readonly model: string;
  readonly name?: string;
  readonly host: string;
  readonly threads: number;
  /** Gigabytes. */
  readonly memory?: number;
}

/** What a plan tells workers of the model. */
export interface LayerWork extends Pick<ServeLayersOptions, 'base' | 'partition' | 'optimizer'> {
  /** By which the workers prove that theirs is the same. */
  readonly model: ModelDigests;
}

export function addWorkerCommand({ program, context, run, world }: CommandSetup): void {
  program
    .command('worker')
    .description('work in a cluster until Ctrl-C: train the layers that its plans give this machine')
    .requiredOption('--model <directory>', 'the model, of which the layers that are needed are read')
    .option('--identity <directory>', 'this device\'s directory, from "cluster init"')
    .option('--server <host:port>', 'address of the server, if not that of the cluster')
    .option('--name <name>', 'name of this device in a development cluster; by default that of the machine')
    .option('--host <address>', 'address at which other devices reach this one', '127.0.0.1')
    .option('--threads <n>', 'threads of each operation', positiveWhole, 1)
    .option(
      '--memory <gigabytes>',
      'memory that plans may use here; by default what is free, or what a container may use',
      positiveNumber,
    )
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora worker --model ./model --name a', 'join the development server of this machine'],
        [
          'contextlora worker --model ./model --identity /etc/contextlora --host 192.168.1.11',
          'join the cluster that this device is registered in',
        ],
      ]),
    )
    .action((options: WorkerOptions) => run(() => runWorker(options, context, world.hostname)));
}

async function runWorker(
  { model, name, host, threads, memory, ...options }: WorkerOptions,
  context: CommandContext,
  hostname: string,
): Promise<'interrupted'> {
  const { clock, now, output, signal } = context;
  const digests = await showModelDigests(model, context);
  const memoryBytes = memory === undefined ? context.memory().freeBytes : memory * 1e9;
  const limits = memoryBytes === undefined ? {} : { memoryBytes };
  const print = (line: string) => output.write(`${line}\n`);
  await using opened = await openEngine(options, {
    name: name ?? hostname,
    onRefused({ place, fault, what }) {
      print(`Refused a message at ${place} (${fault}): ${what}`);
    },
  });
  const { engine, cluster, server } = opened;
  await using lease = await joinCluster(
    engine,
    { doing: 'waits for a plan', epoch: 0, ...limits },
    { firstSequence: now().getTime() },
  );
  print(
    `${engine.messages.device} has joined cluster ${cluster} at ${server}, and waits for plans until Ctrl-C.`,
  );
  const work = workInCluster(engine, {
    open: (plan, epoch) =>
      openCarrier(opened, plan, {
        epoch,
        host,
        clock,
        onRefused({ peer, fault, what }) {
          print(`Refused a frame of ${peer} (${fault}): ${what}`);
        },
      }),
    async serve(transport: Transport, plan: ClusterPlan) {
      const { model: wanted, ...work } = plan.work as LayerWork;
      requireSameModel(model, { mine: digests, wanted, coordinator: plan.coordinator });
      await serveLayers(transport, {
        ...work,
        modelPath: model,
        threads,
        coordinator: plan.coordinator,
      });
    },
    signal,
  });
  for await (const event of work) {
    print(describeEvent(event));
    lease.update({ ...limits, ...stateOf(event) });
  }
  return 'interrupted';
}

function describeEvent(event: WorkEvent): string {
  switch (event.type) {
    case 'begins':
      return `Plan ${event.epoch} begins: ${event.plan.run}, ${count(event.plan.devices.length)}, tensors by ${event.plan.carrier}`;
    case 'continues':
      return `Plan ${event.epoch} goes on with ${count(event.plan.devices.length)}`;
    case 'spared':
      return `Plan ${event.epoch} has no work for this device`;
    case 'ended':
      return `Plan ${event.epoch} has ended${event.problem === undefined ? '' : `: ${event.problem}`}`;
    default:
      return event satisfies never;
  }
}

const count = (workers: number) => (workers === 1 ? '1 worker' : `${workers} workers`);

const stateOf = (event: WorkEvent): MemberState =>
  'plan' in event
    ? { doing: `works on ${event.plan.run}`, epoch: event.epoch, run: event.plan.run }
    : { doing: 'waits for a plan', epoch: event.epoch };

/** @throws RuntimeError if the model here is another than the coordinator's. */
function requireSameModel(
  path: string,
  {
    mine,
    wanted,
    coordinator,
  }: { readonly mine: ModelDigests; readonly wanted: ModelDigests | undefined; readonly coordinator: string },
): void {
  if (!wanted)
    throw new RuntimeError(
      'RUNTIME_INPUT_INVALID',
      'worker',
      `${coordinator} does not say by digests which model it trains; its version is another than that of this worker`,
    );
  const named = new Set([...Object.keys(mine), ...Object.keys(wanted)]) as Set<keyof ModelDigests>;
  const parts = [...named].filter((part) => mine[part] !== wanted[part]);
  if (parts.length > 0)
    throw new RuntimeError(
      'RUNTIME_INPUT_INVALID',
      'worker',
      `the model at ${path} is not the one that ${coordinator} trains (${parts.join(', ')}); copy that one here`,
    );
}
