/** What waits to be sent to one peer on one channel until the peer has credit for it. */
import type { RuntimeError } from '../runtime-error.js';

interface Message {
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: RuntimeError) => void;
}

export interface OutgoingChannel {
  /** Resolves when the message is on its way. */
  send(bytes: Uint8Array): Promise<void>;
  /** Notes that the peer has read `messages` in all; false if that is more than were sent. */
  credit(messages: number): boolean;
  /** Sends what there is credit for; until the first call nothing is sent. */
  open(): void;
  /** Ends all waiting. */
  end(error: RuntimeError): void;
}

/**
 * `transmit` sends one part of a message; `partBytes` is its largest size and `sequence` its place among all parts of the channel.
 * A rejection of it ends the channel by whoever listens to the wire; here the message alone is rejected.
 */
export function outgoingChannel({
  window,
  partBytes,
  transmit,
}: {
  readonly window: number;
  readonly partBytes: number;
  readonly transmit: (
    part: Uint8Array,
    place: { readonly sequence: number; readonly offset: number; readonly messageBytes: number },
  ) => Promise<void>;
}): OutgoingChannel {
  const waiting: Message[] = [];
  let [sequence, sent, readByPeer] = [0, 0, 0];
  let [isOpen, isSending] = [false, false];
  let current: Message | undefined;
  let ended: RuntimeError | undefined;

  const sendParts = async (bytes: Uint8Array) => {
    let offset = 0;
    do {
      const part = bytes.subarray(offset, offset + partBytes);
      await transmit(part, { sequence: sequence++, offset, messageBytes: bytes.length });
      offset += partBytes;
    } while (offset < bytes.length && !ended);
  };
  /** One message after the other, so that their parts stay together. */
  const pump = async () => {
    if (!isOpen || isSending) return;
    isSending = true;
    while (waiting.length > 0 && sent - readByPeer < window) {
      const { bytes, resolve, reject } = (current = waiting.shift()!);
      sent += 1;
      await sendParts(bytes).then(resolve, reject);
    }
    current = undefined;
    isSending = false;
  };
  return {
    send(bytes) {
      if (ended) return Promise.reject(ended);
      return new Promise((resolve, reject) => {
        waiting.push({ bytes, resolve, reject });
        void pump();
      });
    },
    credit(messages) {
      if (messages > sent) return false;
      // Credits count from the beginning, so that one that comes late or twice changes nothing.
      readByPeer = Math.max(readByPeer, messages);
      void pump();
      return true;
    },
    open() {
      isOpen = true;
      void pump();
    },
    end(error) {
      ended = error;
      // A wire that has stalled may never finish the message under way.
      current?.reject(error);
      for (const { reject } of waiting.splice(0)) reject(error);
    },
  };
}
