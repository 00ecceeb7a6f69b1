/** `contextlora cluster status`: who is there, which plan is in force, and what each device does. */
import { setTimeout } from 'node:timers/promises';

import {
  type Member,
  type PlanRecord,
  type RefusedMessage,
  watchMembers,
  watchPlans,
} from '@contextlora/runtime/engine';

import { type ClusterOptions, openEngine } from '../cluster/open-engine.js';
import type { CommandContext } from '../command-context.js';
import type { CommandSetup } from '../command-setup.js';
import { helpExamples } from '../help-examples.js';
import { formatTable } from '../terminal/table.js';

interface StatusOptions extends ClusterOptions {
  readonly json: boolean;
  readonly watch: boolean;
}

/** What `--json` prints. */
interface ClusterStatus {
  readonly cluster: string;
  readonly server: string;
  readonly devices: readonly (Member & { readonly isThere: boolean })[];
  readonly plan: Pick<PlanRecord, 'epoch' | 'by'> | null;
  /** Messages refused so far, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

/** Long enough to see every lease renewed. */
const lookSeconds = 0.8;

export function addClusterStatusCommand({ program, context, run, world }: CommandSetup): void {
  program
    .command('status')
    .description('show the devices of a cluster, its plan, and what each device does')
    .option('--identity <directory>', 'this device\'s directory, from "cluster init"')
    .option('--server <host:port>', 'address of the server, if not that of the cluster')
    .option('--json', 'print JSON, with --watch one object per line', false)
    .option('--watch', 'go on until Ctrl-C, and show every change', false)
    .addHelpText(
      'after',
      helpExamples([
        ['contextlora cluster status --watch', 'a live table of a development cluster'],
        ['contextlora cluster status --identity home/devices/coordinator --json', 'once, for a program'],
      ]),
    )
    .action((options: StatusOptions) => run(() => showStatus(options, context, world.hostname)));
}

async function showStatus(
  { json, watch, ...options }: StatusOptions,
  { clock, output, signal }: CommandContext,
  hostname: string,
): Promise<'interrupted' | undefined> {
  const refused: Record<string, number> = {};
  await using opened = await openEngine(options, {
    name: hostname,
    onRefused({ fault }: RefusedMessage) {
      refused[fault] = (refused[fault] ?? 0) + 1;
    },
  });
  const { engine, cluster, server, identity } = opened;
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  let plan: ClusterStatus['plan'] = null;
  let members: readonly Member[] = [];
  let shownLines = 0;
  const statusNow = (): ClusterStatus => {
    const there = new Set(members.map(({ device }) => device));
    const absent = (identity?.file.devices ?? [])
      .filter(({ name, role }) => role === 'worker' && !there.has(name))
      .map(({ name }) => ({ device: name, doing: '', epoch: 0, isThere: false }));
    return {
      cluster,
      server,
      devices: [...members.map((member) => ({ ...member, isThere: true })), ...absent],
      plan,
      refused,
    };
  };
  const show = () => {
    const status = statusNow();
    if (json) {
      output.write(`${JSON.stringify(status, null, watch ? undefined : 2)}\n`);
      return;
    }
    const lines = describeStatus(status);
    const isTerminal = (output as { readonly isTTY?: boolean }).isTTY === true;
    if (isTerminal && shownLines > 0) output.write(`\u001b[${shownLines}A\u001b[0J`);
    output.write(`${lines.join('\n')}\n`);
    shownLines = lines.length;
  };
  const changed = () => {
    if (watch && !until.aborted) show();
  };
  if (!watch)
    void setTimeout(lookSeconds * 1000, undefined, { signal: until }).then(
      () => {
        stop.abort();
      },
      () => undefined,
    );
  const following = Promise.all([
    (async () => {
      for await (members of watchMembers(engine, { clock, signal: until })) changed();
    })(),
    (async () => {
      for await (const { epoch, by } of watchPlans(engine, until)) {
        plan = { epoch, by };
        changed();
      }
    })(),
  ]);
  await following.finally(() => {
    stop.abort();
  });
  if (signal.aborted) return 'interrupted';
  show();
  return undefined;
}

function describeStatus({ cluster, server, devices, plan, refused }: ClusterStatus): string[] {
  const faults = Object.entries(refused).map(([fault, count]) => `${count} ${fault}`);
  return [
    `Cluster ${cluster} at ${server}: ${plan ? `plan ${plan.epoch}, made by ${plan.by}` : 'no plan yet'}`,
    ...(devices.length === 0
      ? ['No device is there; "contextlora worker" adds one.']
      : formatTable(
          ['device', 'plan', 'does'],
          devices.map(({ device, epoch, doing, isThere }) => [
            device,
            isThere && epoch > 0 ? String(epoch) : '–',
            isThere ? doing : 'is not there',
          ]),
        )),
    ...(faults.length > 0 ? [`Refused messages: ${faults.join(', ')}`] : []),
  ];
}
