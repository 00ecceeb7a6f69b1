import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openRunMetrics, openTensorboardFile, type RunEvent } from '@contextlora/finetune';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tensorboard-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const step = (task: string, index: number, loss: number): Extract<RunEvent, { type: 'step' }> => ({
  ...{ type: 'step', phase: 0, task, step: index, steps: 2, learningRate: 1e-3, loss, tokens: 8 },
  gradientNorm: 0.5,
});
const evaluated: RunEvent = {
  ...{ type: 'evaluated', task: 'light', when: 'afterOwnPhase', test: 'night', accuracy: 0.75 },
  predictions: [],
};

/** CRC-32C bit by bit. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n;
  }
  crc ^= 0xffffffffn;
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
}

/** The events of a file, with every checksum proved. */
function decode(file: Buffer) {
  const events: { time: number; step: number; version?: string; values: Record<string, number> }[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    expect(file.readUInt32LE(at + 8)).toBe(checksum(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 12 + length)).toBe(checksum(data));
    at += 16 + length;
    const fields = fieldsOf(data);
    const version = fields.find(({ field }) => field === 3)?.bytes.toString();
    const summary = fields.find(({ field }) => field === 5)?.bytes;
    events.push({
      time: fields.find(({ field }) => field === 1)?.bytes.readDoubleLE() ?? NaN,
      step: fields.find(({ field }) => field === 2)?.value ?? NaN,
      ...(version === undefined ? {} : { version }),
      values: Object.fromEntries(
        (summary ? fieldsOf(summary) : []).map(({ bytes }) => {
          const [tag, value] = fieldsOf(bytes);
          return [tag!.bytes.toString(), value!.bytes.readFloatLE()];
        }),
      ),
    });
  }
  return events;
}

function fieldsOf(message: Buffer): { field: number; bytes: Buffer; value: number }[] {
  const fields = [];
  for (let at = 0; at < message.length;) {
    const varint = () => {
      let [value, shift] = [0, 1];
      for (;;) {
        const byte = message[at++] ?? 0;
        value += (byte & 127) * shift;
        if (byte < 128) return value;
        shift *= 128;
      }
    };
    const key = varint();
    const kind = key & 7;
    const value = kind === 0 ? varint() : 0;
    const length = { 0: 0, 1: 8, 2: kind === 2 ? varint() : 0, 5: 4 }[kind] ?? NaN;
    fields.push({ field: key >>> 3, bytes: message.subarray(at, at + length), value });
    at += length;
  }
  return fields;
}

describe('a file for TensorBoard', () => {
  test('has the values of every step and evaluation, at the steps since the start of the run', async () => {
    const path = join(directory, 'events.tfevents');
    const file = openTensorboardFile(path, { flushEvery: 2 });
    for (const event of [step('light', 0, 2), step('light', 1, 1), evaluated, step('lamp', 0, 300)])
      file.add(event);
    await file.flush();
    const values = (task: string, loss: number) => ({
      [`loss/${task}`]: loss,
      [`gradient norm/${task}`]: 0.5,
      [`learning rate/${task}`]: Math.fround(1e-3),
      [`tokens per step/${task}`]: 8,
    });
    expect(decode(await readFile(path))).toEqual([
      { time: 0, step: 0, version: 'brain.Event:2', values: {} },
      { time: 1, step: 1, values: values('light', 2) },
      { time: 2, step: 2, values: values('light', 1) },
      { time: 2, step: 2, values: { 'accuracy on night/light': 0.75 } },
      { time: 3, step: 3, values: values('lamp', 300) },
    ]);
  });

  test('of a resumed run is that of the uninterrupted one, also beyond 127 steps and in a long message', async () => {
    const name = 'a'.repeat(130);
    const steps = Array.from({ length: 150 }, (_, i) => step(name, i, i));
    const [whole, resumed] = [
      openRunMetrics(join(directory, 'whole')),
      openRunMetrics(join(directory, 'resumed')),
    ];
    for (const event of steps) whole.add(event);
    for (const event of steps.slice(0, 90)) resumed.add(event);
    await resumed.flush();
    const position = { phase: 0, step: 60, certificate: {}, fingerprint: {} };
    const again = openRunMetrics(join(directory, 'resumed'));
    // What is said before a resume is replaced, not continued.
    for (const event of steps.slice(0, 55)) again.add(event);
    again.add({ type: 'resume', position, earlier: steps.slice(0, 60) });
    for (const event of steps.slice(60)) again.add(event);
    await whole.flush();
    await again.flush();
    for (const file of ['metrics.jsonl', 'tensorboard/events.out.tfevents'])
      expect(await readFile(join(directory, 'resumed', file))).toEqual(
        await readFile(join(directory, 'whole', file)),
      );
    expect(
      decode(await readFile(join(directory, 'whole/tensorboard/events.out.tfevents'))).at(-1),
    ).toMatchObject({
      step: 150,
      values: { [`loss/${name}`]: 149 },
    });
  });
});
