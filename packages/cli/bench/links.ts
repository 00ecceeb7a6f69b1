/**
 * Measures links of known bandwidth, delay and loss between network namespaces with `contextlora profile --link`, and prints both the
 * settings and the measurements. Skips with a notice if links cannot be emulated (this needs root, Linux, ip and socat).
 * Usage: npm run bench:links -- [--budget SECONDS] [--json FILE]
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import type { LinkSharing, MeasuredLink } from '@contextlora/jetson';
import { writeWhole } from '@contextlora/lora/files';

import { formatTable } from '../src/terminal/table.js';
import { type EmulatedLink, emulateLinks, whyNotEmulated } from './emulate-links.js';

const { values } = parseArgs({
  options: { budget: { type: 'string', default: '10' }, json: { type: 'string' } },
});
const program = fileURLToPath(new URL('../../contextlora/src/cli.ts', import.meta.url));

const link = (mbit: number | readonly [number, number], milliseconds: number, loss = 0): EmulatedLink => ({
  name: 'a',
  megabitsPerSecond: typeof mbit === 'number' ? [mbit, mbit] : mbit,
  delaySeconds: milliseconds / 1000,
  loss,
});
const cases: readonly { readonly name: string; readonly links: readonly EmulatedLink[] }[] = [
  { name: '50 Mbit/s, 10 ms', links: [link(50, 10)] },
  { name: '50 Mbit/s, 10 ms, 1 % lost', links: [link(50, 10, 0.01)] },
  { name: '20 there, 5 back, 5 ms', links: [link([20, 5], 5)] },
  { name: '6 Mbit/s, 20 ms, 3 % lost', links: [link(6, 20, 0.03)] },
  { name: '20 Mbit/s, 2 ms, one medium, both directions', links: [{ ...link(20, 2), medium: 'air' }] },
  {
    name: 'two links of 20 Mbit/s, 2 ms, each by itself',
    links: [link(20, 2), { ...link(20, 2), name: 'b' }],
  },
  {
    name: 'two links of 20 Mbit/s, 2 ms, on one medium',
    links: [
      { ...link(20, 2), medium: 'air' },
      { ...link(20, 2), name: 'b', medium: 'air' },
    ],
  },
];

interface Measured {
  readonly links: readonly MeasuredLink[];
  readonly sharings: readonly LinkSharing[];
}

async function measure(links: readonly EmulatedLink[]): Promise<Measured> {
  await using network = await emulateLinks(links);
  for (const { name } of links) {
    const listening = network.start(name, [program, 'profile', '--listen', '--id', name]);
    await new Promise((ready) => listening.stdout?.once('data', ready));
  }
  const asked = links.flatMap(({ name }) => ['--link', network.addressOf(name)]);
  const child = network.start('host', [
    program,
    'profile',
    ...asked,
    '--id',
    'host',
    '--budget',
    values.budget,
  ]);
  let [out, err] = ['', ''];
  child.stdout?.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr?.on('data', (text: Buffer) => (err += text.toString()));
  await new Promise((ended) => child.once('close', ended));
  if (child.exitCode !== 0) throw new Error(err);
  return JSON.parse(out) as Measured;
}

const reason = whyNotEmulated();
if (reason !== undefined) {
  console.log(`bench:links is skipped: ${reason}.`);
  process.exit(0);
}
const mbit = ({ bytesPerSecond }: { readonly bytesPerSecond: number }) =>
  ((8 * bytesPerSecond) / 1e6).toFixed(1);
const percent = (share: number | undefined) => (share === undefined ? '–' : (100 * share).toFixed(1));
const rows: string[][] = [];
const results: object[] = [];
for (const { name, links } of cases) {
  const measured = await measure(links);
  results.push({ name, set: links, measured });
  for (const [index, { peer, upload, download, latency, loss, directions }] of measured.links.entries())
    rows.push([
      measured.links.length > 1 ? `${name}: ${peer}` : name,
      mbit(upload),
      mbit(download),
      (1000 * latency.seconds).toFixed(1),
      percent(loss?.upload),
      percent(loss?.download),
      `${directions.verdict} (${directions.airtime.toFixed(2)})`,
      index === 0 && measured.sharings[0]
        ? `${measured.sharings[0].verdict} (${measured.sharings[0].airtime.toFixed(2)})`
        : '',
    ]);
  console.error(`${name}: done`);
}
console.log(
  formatTable(
    ['set', 'Mbit/s there', 'back', 'ms', '% lost there', 'back', 'directions', 'links'],
    rows,
  ).join('\n'),
);
if (values.json !== undefined) await writeWhole(values.json, `${JSON.stringify(results, null, 2)}\n`);
