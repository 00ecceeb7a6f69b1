/** `contextlora profile --measure MODEL --link HOST --out FILE`: measurements as a cluster file. */
import { linkProfiles, parseEndpoint } from '@contextlora/jetson';
import { writeWhole } from '@contextlora/lora/files';
import { withMeasured } from '@contextlora/scheduler';

import type { CommandContext } from '../command-context.js';
import { readClusterIfAny } from '../read-cluster.js';
import { describeMachine } from '../terminal/describe-machine.js';
import { measureLinks } from './measure-links.js';
import { measureMachine } from './measure-machine.js';
import type { ProfileOptions } from './profile-options.js';

/** Measures what the options ask for and prints it, or with `--out` puts it into a cluster file. */
export async function measureAndWrite(options: ProfileOptions, context: CommandContext): Promise<void> {
  const { id, medium, measure, link, out } = options;
  // A file that is not a cluster is refused before anything is measured.
  const before = out === undefined ? undefined : await readClusterIfAny(out);
  const machine = measure === undefined ? undefined : await measureMachine(measure, options, context);
  const found =
    link === undefined ? undefined : await measureLinks(link.map(parseEndpoint), options, context);
  if (out === undefined) {
    context.output.write(`${JSON.stringify({ ...machine?.record, ...found }, null, 2)}\n`);
    return;
  }
  const cluster = withMeasured(before ?? { devices: [], links: [] }, {
    id,
    ...(machine && { device: machine.device }),
    ...(found && { links: linkProfiles(found.links, { id, sharings: found.sharings, medium }) }),
    records: [
      ...(machine ? [machine.record] : []),
      ...(found ? [{ of: 'links', id, at: context.now().toISOString(), ...found } as const] : []),
    ],
  });
  await writeWhole(out, `${JSON.stringify(cluster, null, 2)}\n`);
  for (const line of describeMachine(machine, found)) context.output.write(`${line}\n`);
  context.output.write(
    `${out} has ${cluster.devices.length} devices and ${cluster.links.length} directions of links; use it with "contextlora plan --cluster ${out}"\n`,
  );
}
