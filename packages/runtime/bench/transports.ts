/**
 * Throughput and round trip of every transport between two processes (or threads) of this machine, beside raw TCP in the same run.
 *
 * Usage: npm run bench:transports [-- --json FILE] [--rounds N]. NATS is left out, with a notice, where no nats-server is installed.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { startThreads } from '@contextlora/runtime/threads';

import { isNatsInstalled, startNatsServer, type TestServer } from '../test/nats-process.js';
import {
  type End,
  type Kind,
  kinds,
  type Meeting,
  openEnd,
  type Order,
  serveOrders,
} from './transport-ends.js';

const sizes = [2 ** 16, 2 ** 20, 2 ** 22];
/** Per measurement: enough to outlast the start, and few seconds in all. */
const [echoBytes, countBytes] = [2 ** 25, 2 ** 27];

interface Row {
  readonly transport: Kind;
  readonly bytes: number;
  /** Medians over the rounds. */
  readonly roundTripMilliseconds: number;
  readonly megabytesPerSecond: number;
  /** Of raw TCP in the same run: above 1 is slower for the round trip, faster for the throughput. */
  readonly roundTripOfTcp: number;
  readonly throughputOfTcp: number;
}

/** Words between this process and a child; of words that come before anybody asks none is lost. */
function meetingWith(process: Pick<ChildProcess, 'on' | 'send'>, natsServer: string): Meeting {
  return {
    natsServer,
    tell: (word) => process.send(word),
    told: new Promise((resolve) => {
      process.on('message', (word) => {
        if (typeof word === 'string') resolve(word);
      });
    }),
  };
}

const order = (content: Order) => Buffer.from(JSON.stringify(content));

async function roundTripSeconds(end: End, bytes: Uint8Array): Promise<number> {
  const messages = Math.max(10, Math.min(300, echoBytes / bytes.length));
  await end.send(order({ type: 'echo', messages }));
  const seconds: number[] = [];
  for (let count = 0; count < messages; count++) {
    // A transport takes the bytes over.
    const own = bytes.slice();
    const start = performance.now();
    await end.send(own);
    await end.receive();
    seconds.push((performance.now() - start) / 1000);
  }
  return median(seconds);
}

async function bytesPerSecond(end: End, bytes: Uint8Array): Promise<number> {
  const messages = countBytes / bytes.length;
  await end.send(order({ type: 'count', messages }));
  const start = performance.now();
  for (let count = 0; count < messages; count++) await end.send(bytes.slice());
  await end.receive();
  return countBytes / ((performance.now() - start) / 1000);
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function openNear(kind: Kind, natsServer: string): Promise<End & { done: () => Promise<unknown> }> {
  if (kind === 'threads') {
    const threads = startThreads(new URL('transport-thread.mjs', import.meta.url), ['far'], {
      coordinator: 'near',
      window: 4,
      execArgv: ['--conditions', '@contextlora/source'],
    });
    return {
      send: (bytes) => threads.transport.send('far', 'x', bytes),
      receive: () => threads.transport.receive('far', 'x'),
      close: () => Promise.resolve(),
      async done() {
        await threads[Symbol.asyncDispose]();
      },
    };
  }
  const child = fork(fileURLToPath(import.meta.url), ['--far', kind, '--nats', natsServer]);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const end = await openEnd('near', kind, meetingWith(child, natsServer));
  return { ...end, done: () => exited };
}

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    far: { type: 'string' },
    nats: { type: 'string', default: '' },
  },
});
if (values.far !== undefined) {
  const kind = values.far as Exclude<Kind, 'threads'>;
  await serveOrders(await openEnd('far', kind, meetingWith(process as never, values.nats)));
  process.disconnect();
} else {
  let server: TestServer | undefined;
  if (isNatsInstalled) server = await startNatsServer();
  else console.log('nats-server is not installed: NATS is left out.');
  const measured = new Map<string, { trips: number[]; rates: number[] }>();
  for (let round = 0; round < Number(values.rounds); round++)
    for (const kind of kinds) {
      if (kind === 'nats' && !server) continue;
      const end = await openNear(kind, server?.address ?? '');
      for (const size of sizes) {
        const bytes = new Uint8Array(size).fill(7);
        const row = measured.get(`${kind} ${size}`) ?? { trips: [], rates: [] };
        measured.set(`${kind} ${size}`, row);
        row.trips.push(await roundTripSeconds(end, bytes));
        row.rates.push(await bytesPerSecond(end, bytes));
      }
      await end.send(order({ type: 'stop', messages: 0 }));
      await end.done();
      await end.close();
    }
  const rows = [...measured].map(([name, { trips, rates }]): Row => {
    const [kind, size] = name.split(' ') as [Kind, string];
    const tcp = measured.get(`tcp ${size}`)!;
    return {
      transport: kind,
      bytes: Number(size),
      roundTripMilliseconds: Number((median(trips) * 1000).toPrecision(3)),
      megabytesPerSecond: Number((median(rates) / 1e6).toPrecision(3)),
      roundTripOfTcp: Number((median(trips) / median(tcp.trips)).toPrecision(3)),
      throughputOfTcp: Number((median(rates) / median(tcp.rates)).toPrecision(3)),
    };
  });
  console.table(rows.sort((a, b) => a.bytes - b.bytes));
  await server?.[Symbol.asyncDispose]();
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
}
