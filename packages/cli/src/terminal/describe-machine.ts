/** A measured machine and its links in words. */
import type { Change, MeasuredLink } from '@contextlora/jetson';

import type { LinksMeasurement } from '../commands/measure-links.js';
import type { MachineMeasurement } from '../commands/measure-machine.js';

const giga = (value: number, unit: string) => `${(value / 1e9).toPrecision(3)} G${unit}`;
const megabits = (bytesPerSecond: number) => `${((8 * bytesPerSecond) / 1e6).toPrecision(3)} Mbit/s`;
const milliseconds = (seconds: number) => `${(1000 * seconds).toPrecision(3)} ms`;
const share = (value: number) => `${(100 * value).toFixed(1)} %`;

export function describeMachine(
  machine: MachineMeasurement | undefined,
  found: LinksMeasurement | undefined,
): string[] {
  return [...(machine ? describeDevice(machine) : []), ...(found ? describeLinks(found) : [])];
}

function describeDevice({ device, record }: MachineMeasurement): string[] {
  const rates = device.flopsPerSecond as Readonly<Record<'forward' | 'input' | 'weight', number>>;
  const lines = [
    `${device.id}: forward ${giga(rates.forward, 'FLOP/s')}, input gradients ${giga(rates.input, 'FLOP/s')}, weight gradients ${giga(rates.weight, 'FLOP/s')}; ` +
      `${giga(device.memoryBytes, 'B')} of memory available; ${milliseconds(device.overheadSeconds ?? 0)} overhead per layer`,
  ];
  if ((record['weight'] as { assumed?: true }).assumed)
    lines.push(
      '  Weight gradients took too little time to measure; the rate of input gradients is used instead.',
    );
  if (record['settled'] !== true)
    lines.push(
      '  The rates did not settle: this machine is busy with something else, or --budget is too short.',
    );
  if (device.sustainedShare !== undefined) {
    const { throttling } = record['sustained'] as { throttling: Readonly<Record<string, Change>> };
    const changes = Object.entries(throttling).map(([what, { first, last }]) =>
      describeChange(what, first, last),
    );
    lines.push(
      `  Under sustained load it keeps ${share(device.sustainedShare)} of its rate${changes.length > 0 ? `; ${changes.join(', ')}` : '; it reports no temperatures, clocks or power'}`,
    );
  }
  return lines;
}

const units: Readonly<Record<string, readonly [string, number, string]>> = {
  celsius: ['temperature', 1, '°C'],
  gpuHertz: ['GPU', 1e6, 'MHz'],
  coreHertz: ['cores', 1e6, 'MHz'],
  watts: ['power', 1, 'W'],
};

function describeChange(what: string, first: number, last: number): string {
  const [name, unit, symbol] = units[what] ?? [what, 1, ''];
  return `${name} ${(first / unit).toFixed(1)} to ${(last / unit).toFixed(1)} ${symbol}`;
}

const verdicts = {
  shared: 'share one medium',
  separate: 'do not affect each other',
  unclear: 'may share a medium (unclear)',
} as const;

function describeLinks({ links, sharings }: LinksMeasurement): string[] {
  return [
    ...links.map(describeLink),
    ...sharings.map(
      ({ links: [first, second], verdict, airtime, offeredAirtime }) =>
        `links to ${links[first]!.peer} and ${links[second]!.peer} ${verdicts[verdict]}: together they took ${airtime.toFixed(2)} of one medium's time, with ${offeredAirtime.toFixed(2)} offered`,
    ),
  ];
}

const describeLink = ({ peer, download, upload, latency, loss, directions }: MeasuredLink): string =>
  `link to ${peer}: ${megabits(upload.bytesPerSecond)} there, ${megabits(download.bytesPerSecond)} back, ` +
  `latency ${milliseconds(latency.seconds)} (quartiles ${milliseconds(latency.lowerQuartile)}, ${milliseconds(latency.upperQuartile)}), ` +
  (loss
    ? `loss ${share(loss.upload)} there, ${share(loss.download)} back (of ${loss.datagrams} datagrams); `
    : 'no datagram came back, so loss is unknown; ') +
  `its directions ${verdicts[directions.verdict]}`;
