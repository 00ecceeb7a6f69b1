import { setTimeout } from 'node:timers/promises';

import { decodeFrame, encodeFrame, type Frame } from '@contextlora/runtime';
import { describe, expect, test } from '@jest/globals';

import { memoryWires, overWires, type Tamper } from './networks.js';

const limits = { payloadBytes: 2 ** 16, messageBytes: 2 ** 30 };
const bytes = (value: number) => Uint8Array.of(value);
const isData = (packet: Uint8Array) => (decodeFrame(packet, limits) as Frame).kind === 'data';
const changed = (packet: Uint8Array, change: Partial<Frame>) =>
  encodeFrame({ ...(decodeFrame(packet, limits) as Frame), ...change });

/** What a receiver sees of three messages whose frames were tampered with: values, the code of the error, and the faults. */
async function receiveThree(tamper: Tamper, { reads = 3 } = {}) {
  await using network = await overWires(memoryWires(), { tamper })(['a', 'b'], {
    window: 3,
  });
  const [a, b] = [network.transports.get('a')!, network.transports.get('b')!];
  for (const value of [1, 2, 3]) a.send('b', 'x', bytes(value)).catch(() => undefined);
  const values: number[] = [];
  let code = '';
  for (let count = 0; count < reads; count++)
    try {
      values.push((await b.receive('a', 'x'))[0]!);
    } catch (error) {
      code = (error as { code: string }).code;
      break;
    }
  if (reads === 0) await setTimeout(100);
  return { values, code, faults: [...new Set(network.refused!.map(({ fault }) => fault))] };
}

describe('A transport', () => {
  test('drops a repeated frame and goes on', async () => {
    expect(await receiveThree((packet) => [packet, packet])).toMatchObject({
      values: [1, 2, 3],
      faults: ['replayed'],
    });
  });

  test('drops late frames of an old epoch and goes on', async () => {
    expect(
      await receiveThree((packet) => (isData(packet) ? [changed(packet, { epoch: 6 }), packet] : [packet])),
    ).toMatchObject({ values: [1, 2, 3], faults: ['epoch'] });
  });

  test('refuses a frame out of order, and does not guess', async () => {
    let held: Uint8Array | undefined;
    const outcome = await receiveThree((packet) => {
      if (!isData(packet)) return [packet];
      if ((decodeFrame(packet, limits) as Frame).sequence !== 1) return held ? [packet, held] : [packet];
      held = packet;
      return [];
    });
    expect(outcome).toEqual({ values: [1], code: 'RUNTIME_FRAME_REFUSED', faults: ['reordered'] });
  });

  test.each<[string, (packet: Uint8Array) => Uint8Array]>([
    ['checksum', (packet) => packet.map((byte, at) => (at === packet.length - 1 ? byte ^ 1 : byte))],
    ['malformed', (packet) => packet.subarray(0, 20)],
    ['malformed', (packet) => changed(packet, { offset: 1, messageBytes: 2 })],
    ['oversized', (packet) => changed(packet, { messageBytes: 2 ** 31 })],
    ['sender', (packet) => changed(packet, { sender: 'mallory' })],
    ['beyond-credit', (packet) => changed(packet, { kind: 'credit', sequence: 9 })],
  ])('refuses a frame by name: %s', async (fault, change) => {
    expect(
      await receiveThree((packet) =>
        isData(packet) && (decodeFrame(packet, limits) as Frame).sequence === 1 ? [change(packet)] : [packet],
      ),
    ).toEqual({ values: [1], code: 'RUNTIME_FRAME_REFUSED', faults: [fault] });
  });

  test('takes a peer that has started again for lost', async () => {
    expect(
      await receiveThree((packet) =>
        isData(packet) && (decodeFrame(packet, limits) as Frame).sequence === 1
          ? [changed(packet, { session: 5 })]
          : [packet],
      ),
    ).toEqual({ values: [1], code: 'RUNTIME_PEER_LOST', faults: ['session'] });
  });

  test('refuses messages beyond the window', async () => {
    const outcome = await receiveThree(
      (packet) => {
        if (!isData(packet) || (decodeFrame(packet, limits) as Frame).sequence !== 2) return [packet];
        return [packet, changed(packet, { sequence: 3 })];
      },
      { reads: 0 },
    );
    expect(outcome.faults).toEqual(['beyond-credit']);
  });

  test('hears nobody of another epoch', async () => {
    await using network = await overWires(memoryWires(), { epochs: { a: 7, b: 8 } })(['a', 'b']);
    const sending = network.transports.get('a')!.send('b', 'x', bytes(1));
    const outcome = await Promise.race([sending.then(() => 'sent'), setTimeout(300, 'waiting')]);
    expect([outcome, new Set(network.refused!.map(({ fault }) => fault))]).toEqual([
      'waiting',
      new Set(['epoch']),
    ]);
    sending.catch(() => undefined);
  });
});
