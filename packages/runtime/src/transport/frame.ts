/** The form of what devices send each other: a checked header, then a part of a message. */
import { crc32 } from 'node:zlib';

const magic = 0x46_47_4c_43; // "CLGF" in a file
const version = 1;
const kinds = ['data', 'credit', 'beat', 'bye'] as const;
const headerBytes = 36;
const checksumAt = 32;
const largestNumber = 0xffff_ffff;

/** `data` is a part of a message; `credit` says how many messages of a channel were read; `beat` is a sign of life; `bye` the last frame. */
export type FrameKind = (typeof kinds)[number];

/** Numbers are below 2³². */
export interface Frame {
  readonly kind: FrameKind;
  /** The plan that the frame belongs to. */
  readonly epoch: number;
  /** Which opening of the sender's transport it comes from. */
  readonly session: number;
  /** Of data: its place among the channel's frames; of a credit: the messages read so far; of a beat: its place among beats. */
  readonly sequence: number;
  readonly sender: string;
  /** Empty for frames that belong to no channel. */
  readonly channel: string;
  /** Size of the message that the payload is a part of. */
  readonly messageBytes: number;
  /** Where in the message the payload begins. */
  readonly offset: number;
  readonly payload: Uint8Array;
}

/** Why a frame was refused. */
export type FrameFault =
  | 'malformed'
  | 'oversized'
  | 'version'
  | 'checksum'
  | 'sender'
  | 'epoch'
  | 'session'
  | 'replayed'
  | 'reordered'
  | 'beyond-credit';

/** A frame that is not used, and why. */
export interface FrameRefusal {
  readonly fault: FrameFault;
  readonly what: string;
}

export interface FrameLimits {
  /** Most bytes of one payload. */
  readonly payloadBytes: number;
  /** Most bytes of a message. */
  readonly messageBytes: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Bytes of a name as frames carry it, of which there may be 255. */
export const nameBytes = (name: string): Uint8Array => encoder.encode(name);

/** A frame as bytes; its numbers and names must be in range. */
export function encodeFrame({ sender, channel, payload, ...frame }: Frame): Uint8Array {
  const names = [nameBytes(sender), nameBytes(channel)] as const;
  const start = headerBytes + names[0].length + names[1].length;
  const bytes = new Uint8Array(start + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  bytes.set([version, kinds.indexOf(frame.kind), names[0].length, names[1].length], 4);
  const numbers = [
    frame.epoch,
    frame.session,
    frame.sequence,
    frame.messageBytes,
    frame.offset,
    payload.length,
  ];
  numbers.forEach((number, index) => {
    view.setUint32(8 + 4 * index, number, true);
  });
  bytes.set(names[0], headerBytes);
  bytes.set(names[1], headerBytes + names[0].length);
  bytes.set(payload, start);
  view.setUint32(checksumAt, checksumOf(bytes), true);
  return bytes;
}

/** The frame in `bytes`, whose payload is a view of them, or why there is none. Nothing is allocated for what a header claims. */
export function decodeFrame(bytes: Uint8Array, limits: FrameLimits): Frame | FrameRefusal {
  if (bytes.length < headerBytes)
    return refusal('malformed', `${bytes.length} bytes are no frame, whose header alone has ${headerBytes}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== magic) return refusal('malformed', 'it does not begin like a frame');
  const [theirs, kindIndex, senderBytes, channelBytes] = bytes.subarray(4, 8) as unknown as [
    number,
    number,
    number,
    number,
  ];
  if (theirs !== version)
    return refusal('version', `it has version ${theirs}, and this program reads ${version}`);
  const number = (index: number) => view.getUint32(8 + 4 * index, true);
  const [messageBytes, offset, payloadBytes] = [number(3), number(4), number(5)];
  if (payloadBytes > limits.payloadBytes)
    return refusal('oversized', `its payload has ${payloadBytes} bytes of at most ${limits.payloadBytes}`);
  if (messageBytes > limits.messageBytes)
    return refusal('oversized', `its message has ${messageBytes} bytes of at most ${limits.messageBytes}`);
  const start = headerBytes + senderBytes + channelBytes;
  if (bytes.length !== start + payloadBytes)
    return refusal(
      'malformed',
      `its header tells of ${start + payloadBytes} bytes, and it has ${bytes.length}`,
    );
  if (view.getUint32(checksumAt, true) !== checksumOf(bytes))
    return refusal('checksum', 'its checksum does not match');
  const kind = kinds[kindIndex];
  if (kind === undefined) return refusal('malformed', `there is no kind ${kindIndex} of frames`);
  if (offset + payloadBytes > messageBytes)
    return refusal('malformed', `its payload ends at ${offset + payloadBytes} of ${messageBytes} bytes`);
  try {
    return {
      kind,
      epoch: number(0),
      session: number(1),
      sequence: number(2),
      sender: decoder.decode(bytes.subarray(headerBytes, headerBytes + senderBytes)),
      channel: decoder.decode(bytes.subarray(headerBytes + senderBytes, start)),
      messageBytes,
      offset,
      payload: bytes.subarray(start),
    };
  } catch {
    return refusal('malformed', 'its names are not UTF-8');
  }
}

/** Whether a number fits a frame. */
export const fitsFrame = (number: number): boolean =>
  Number.isInteger(number) && number >= 0 && number <= largestNumber;

const refusal = (fault: FrameFault, what: string): FrameRefusal => ({ fault, what });

/** CRC-32 of everything but the checksum itself. */
const checksumOf = (bytes: Uint8Array): number =>
  crc32(bytes.subarray(checksumAt + 4), crc32(bytes.subarray(0, checksumAt)));
