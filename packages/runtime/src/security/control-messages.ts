/** Messages that steer a cluster, each bound to its sender, its place, an epoch and a sequence number. */
import { type KeyObject, sign, verify } from 'node:crypto';

import { publicKeyOf, type RegisteredDevice } from './cluster-file.js';

export interface ControlMessage {
  readonly sender: string;
  /** The plan that the message is about. */
  readonly epoch: number;
  /** Rises from message to message of a sender at one place, also when the sender starts again. */
  readonly sequence: number;
  readonly body: unknown;
}

/** Why a message was refused. */
export type MessageFault =
  | 'malformed'
  | 'oversized'
  | 'downgrade'
  | 'unknown-device'
  | 'signature'
  | 'misplaced'
  | 'replayed'
  | 'role'
  | 'epoch';

export interface RefusedMessage {
  /** Where the message was found. */
  readonly place: string;
  readonly fault: MessageFault;
  readonly what: string;
}

export interface ControlMessages {
  readonly device: string;
  /** A message of this device as bytes. */
  seal(place: string, message: Omit<ControlMessage, 'sender'>): Uint8Array;
  /** The message that was found at a place, or why it is refused; `openOnce` refuses repeated ones too. */
  open(place: string, bytes: Uint8Array): ControlMessage | RefusedMessage;
  /** Whether a device may make plans. */
  isCoordinator(device: string): boolean;
}

/** Larger things are objects that a message names. */
const largestBytes = 65_536;
const signatureBytes = 64;
const [unsigned, signed] = [0, 1];

/**
 * Signs the messages of a device and checks those of the others. Without `key` and `devices` nothing is signed, which is for one machine only;
 * where devices are registered, a message that is not signed by one of them is refused.
 */
export function controlMessages({
  cluster,
  device,
  key,
  devices,
}: {
  readonly cluster: string;
  readonly device: string;
  /** Ed25519 private key of this device. */
  readonly key?: KeyObject;
  readonly devices?: readonly RegisteredDevice[];
}): ControlMessages {
  const registered = devices && new Map(devices.map((one) => [one.name, { ...one, key: publicKeyOf(one) }]));
  return {
    device,
    seal(place, { epoch, sequence, body }) {
      const text = Buffer.from(JSON.stringify({ cluster, place, sender: device, epoch, sequence, body }));
      return key
        ? Buffer.concat([Buffer.of(signed), sign(null, text, key), text])
        : Buffer.concat([Buffer.of(unsigned), text]);
    },
    open(place, bytes) {
      const refuse = (fault: MessageFault, what: string): RefusedMessage => ({ place, fault, what });
      if (bytes.length > largestBytes)
        return refuse('oversized', `it has ${bytes.length} bytes of at most ${largestBytes}`);
      const isSigned = bytes[0] === signed;
      if (bytes[0] !== signed && bytes[0] !== unsigned)
        return refuse('malformed', 'it begins like no message');
      if (registered && !isSigned)
        return refuse('downgrade', 'it is not signed, and in this cluster all are');
      if (!registered && isSigned)
        return refuse('downgrade', 'it is signed, and here there is no key to check it with');
      const text = bytes.subarray(isSigned ? 1 + signatureBytes : 1);
      const message = parseMessage(text);
      if (!message) return refuse('malformed', 'it is not the JSON of a message');
      const { sender, epoch, sequence, body } = message;
      if (registered) {
        const known = registered.get(sender);
        if (!known) return refuse('unknown-device', `${sender} is not registered`);
        if (!verify(null, text, known.key, bytes.subarray(1, 1 + signatureBytes)))
          return refuse('signature', `it is not signed by ${sender}`);
      }
      if (message.cluster !== cluster || message.place !== place)
        return refuse('misplaced', `it was written for ${message.place} of cluster ${message.cluster}`);
      return { sender, epoch, sequence, body };
    },
    isCoordinator: (name) => !registered || registered.get(name)?.role === 'coordinator',
  };
}

/** Opens messages, and refuses any that is not newer than the newest of its sender at its place. */
export function openOnce(messages: ControlMessages): ControlMessages['open'] {
  const newest = new Map<string, number>();
  return (place, bytes) => {
    const message = messages.open(place, bytes);
    if ('fault' in message) return message;
    const { sender, sequence } = message;
    const from = JSON.stringify([sender, place]);
    const last = newest.get(from) ?? -1;
    if (sequence <= last)
      return { place, fault: 'replayed', what: `number ${sequence} of ${sender} came after ${last}` };
    newest.set(from, sequence);
    return message;
  };
}

function parseMessage(text: Uint8Array) {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)) as Record<
      string,
      unknown
    >;
    const { cluster, place, sender, epoch, sequence, body } = value;
    return typeof cluster === 'string' &&
      typeof place === 'string' &&
      typeof sender === 'string' &&
      isCount(epoch) &&
      isCount(sequence)
      ? { cluster, place, sender, epoch, sequence, body }
      : undefined;
  } catch {
    return undefined;
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
