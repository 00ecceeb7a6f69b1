import { crc32 } from 'node:zlib';

import { decodeFrame, encodeFrame, type Frame } from '@contextlora/runtime';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

const limits = { payloadBytes: 1000, messageBytes: 100_000 };
const number = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const name = fc.string({ unit: 'grapheme', maxLength: 12 });
const frames: fc.Arbitrary<Frame> = fc
  .record({
    kind: fc.constantFrom('data', 'credit', 'beat', 'bye'),
    epoch: number,
    session: number,
    sequence: number,
    sender: name,
    channel: name,
    payload: fc.uint8Array({ maxLength: 300 }),
    offset: fc.integer({ min: 0, max: 50_000 }),
    rest: fc.integer({ min: 0, max: 49_000 }),
  })
  .map(({ rest, ...frame }) => ({ ...frame, messageBytes: frame.offset + frame.payload.length + rest }));
const example: Frame = {
  kind: 'data',
  epoch: 3,
  session: 9,
  sequence: 4,
  sender: 'orin',
  channel: 'x',
  messageBytes: 8,
  offset: 4,
  payload: Uint8Array.of(1, 2, 3, 4),
};
/** The bytes of the example with others at `at`, and a checksum that is right again. */
const altered = (at: number, ...values: number[]) => {
  const bytes = encodeFrame(example);
  bytes.set(values, at);
  new DataView(bytes.buffer).setUint32(32, crc32(bytes.subarray(36), crc32(bytes.subarray(0, 32))), true);
  return bytes;
};

describe('Frames', () => {
  test('come out as they went in', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(decodeFrame(encodeFrame(frame), limits)).toEqual(frame);
      }),
    );
  });

  test('are read from the middle of a larger buffer', () => {
    const bytes = encodeFrame(example);
    const larger = new Uint8Array(bytes.length + 7);
    larger.set(bytes, 3);
    expect(decodeFrame(larger.subarray(3, 3 + bytes.length), limits)).toEqual(example);
  });

  test('are refused when any bit is flipped', () => {
    fc.assert(
      fc.property(frames, fc.nat(), fc.nat(7), (frame, position, bit) => {
        const bytes = encodeFrame(frame);
        bytes[position % bytes.length]! ^= 1 << bit;
        expect(decodeFrame(bytes, limits)).toHaveProperty('fault');
      }),
      { numRuns: 1000 },
    );
  });

  test('are refused when cut short or lengthened', () => {
    fc.assert(
      fc.property(frames, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 50 }), (frame, cut, more) => {
        const bytes = encodeFrame(frame);
        expect(decodeFrame(bytes.subarray(0, cut % bytes.length), limits)).toHaveProperty('fault');
        expect(decodeFrame(Uint8Array.of(...bytes, ...more), limits)).toHaveProperty('fault');
      }),
    );
  });

  test('are made of no random bytes, which are refused without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, beginsWell) => {
        const tried = beginsWell ? Uint8Array.of(...encodeFrame(example).subarray(0, 5), ...bytes) : bytes;
        expect(decodeFrame(tried, limits)).toHaveProperty('fault');
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['malformed', 'another beginning', altered(0, 0)],
    ['version', 'another version', altered(4, 2)],
    ['malformed', 'an unknown kind', altered(5, 9)],
    ['malformed', 'names longer than the frame', altered(6, 255)],
    ['malformed', 'a payload beyond the end of its message', altered(24, 6)],
    ['malformed', 'a name that is not UTF-8', altered(36, 0xff)],
    ['oversized', 'a message of 4 GiB', altered(20, 0xff, 0xff, 0xff, 0xff)],
    ['oversized', 'a payload of 4 GiB', altered(28, 0xff, 0xff, 0xff, 0xff)],
    [
      'checksum',
      'a changed payload',
      Uint8Array.from(encodeFrame(example), (byte, at) => (at === 42 ? 9 : byte)),
    ],
  ])('are refused as %s for %s', (fault, _, bytes) => {
    expect(decodeFrame(bytes, limits)).toMatchObject({ fault });
  });
});
