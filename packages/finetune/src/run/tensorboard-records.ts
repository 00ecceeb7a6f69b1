/**
 * A run's entries as TensorBoard reads them: TFRecords of `Event` messages (tensorflow/core/util/event.proto), each with one `Summary` of
 * scalars.
 */
import { crc32c } from './crc32c.js';
import type { MetricsEntry } from './run-event.js';

/** Name → value. */
type Scalars = Readonly<Record<string, number>>;

/** The record that every file begins with. */
export const tensorboardHead = (): Uint8Array => record(event(0, textField(3, 'brain.Event:2')));

/**
 * Returns a function that encodes entries in their order. Steps are counted from the start of the run, so that tasks follow one another; a
 * step is also the time of its values, in seconds, and no clock is read: equal runs give equal files.
 */
export function openTensorboardEncoder(): (entries: readonly MetricsEntry[]) => Uint8Array {
  let steps = 0;
  return (entries) =>
    joined(
      entries.flatMap((entry) => {
        if (entry.type === 'step') steps += 1;
        const scalars = scalarsOf(entry);
        return Object.keys(scalars).length === 0
          ? []
          : [record(event(steps, messageField(5, summary(scalars))))];
      }),
    );
}

function scalarsOf(entry: MetricsEntry): Scalars {
  switch (entry.type) {
    case 'step':
      return {
        [`loss/${entry.task}`]: entry.loss,
        [`gradient norm/${entry.task}`]: entry.gradientNorm,
        [`learning rate/${entry.task}`]: entry.learningRate,
        [`tokens per step/${entry.task}`]: entry.tokens,
        ...(entry.score === undefined
          ? {}
          : { [`accuracy on validation while training/${entry.task}`]: entry.score }),
      };
    case 'evaluated':
      return { [`accuracy on ${entry.test}/${entry.task}`]: entry.accuracy };
    default:
      return {};
  }
}

/** `Summary.value` (1): a tag (1) and a `simple_value` (2). */
const summary = (scalars: Scalars): Uint8Array =>
  joined(
    Object.entries(scalars).map(([tag, value]) =>
      messageField(1, joined([textField(1, tag), floatField(2, value)])),
    ),
  );

/** `Event`: `wall_time` (1), `step` (2), and what it is about. */
const event = (step: number, content: Uint8Array): Uint8Array =>
  joined([doubleField(1, step), Uint8Array.of(2 << 3, ...varint(step)), content]);

/** Length and data, each followed by its masked checksum (tensorflow/core/lib/io/record_writer.h). */
function record(data: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(data.length), true);
  return joined([length, maskedChecksum(length), data, maskedChecksum(data)]);
}

function maskedChecksum(bytes: Uint8Array): Uint8Array {
  const crc = crc32c(bytes);
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, masked, true);
  return out;
}

/** Protocol buffers: the key of a field is its number and the kind of its value. */
function doubleField(field: number, value: number): Uint8Array {
  const out = Uint8Array.of((field << 3) | 1, ...new Uint8Array(8));
  new DataView(out.buffer).setFloat64(1, value, true);
  return out;
}

function floatField(field: number, value: number): Uint8Array {
  const out = Uint8Array.of((field << 3) | 5, 0, 0, 0, 0);
  new DataView(out.buffer).setFloat32(1, value, true);
  return out;
}

const messageField = (field: number, content: Uint8Array): Uint8Array =>
  joined([Uint8Array.of((field << 3) | 2, ...varint(content.length)), content]);

const textField = (field: number, text: string): Uint8Array =>
  messageField(field, new TextEncoder().encode(text));

/** A whole number in groups of seven bits, the lowest first. */
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
