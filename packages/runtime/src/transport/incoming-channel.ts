/** One peer's frames on one channel, put together to messages. */
import type { RuntimeError } from '../runtime-error.js';
import type { Frame, FrameRefusal } from './frame.js';

interface Receiver {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: RuntimeError) => void;
}

export interface IncomingChannel {
  /** Takes a data frame, or says why not. */
  accept(frame: Frame): FrameRefusal | undefined;
  /** The next message; `stop` is called with the function that ends the wait. */
  receive(stop: (end: (error: RuntimeError) => void) => void): Promise<Uint8Array>;
  /** Ends all waiting; messages that are whole can still be read. */
  end(error: RuntimeError): void;
}

/** `onRead` is called with the number of messages read so far. */
export function incomingChannel({
  window,
  onRead,
}: {
  readonly window: number;
  readonly onRead: (messages: number) => void;
}): IncomingChannel {
  const whole: Uint8Array[] = [];
  const receivers: Receiver[] = [];
  let [expected, read] = [0, 0];
  let part: { readonly bytes: Uint8Array; filled: number } | undefined;
  let ended: RuntimeError | undefined;

  const deliver = () => {
    while (whole.length > 0 && receivers.length > 0) {
      receivers.shift()!.resolve(whole.shift()!);
      onRead(++read);
    }
  };
  return {
    accept({ sequence, messageBytes, offset, payload }) {
      if (sequence < expected)
        return { fault: 'replayed', what: `frame ${sequence} came again, after frame ${expected - 1}` };
      if (sequence > expected)
        return { fault: 'reordered', what: `frame ${sequence} came where frame ${expected} was due` };
      if (!part && whole.length >= window)
        return { fault: 'beyond-credit', what: `a message came while ${window} were unread` };
      // A message of its own buffer: callers view it as numbers, which need alignment.
      part ??= { bytes: new Uint8Array(messageBytes), filled: 0 };
      if (messageBytes !== part.bytes.length || offset !== part.filled)
        return {
          fault: 'malformed',
          what: `byte ${offset} of a message of ${messageBytes} came where byte ${part.filled} of ${part.bytes.length} was due`,
        };
      if (payload.length === 0 && messageBytes > 0)
        return { fault: 'malformed', what: 'a part of a message is empty' };
      part.bytes.set(payload, offset);
      part.filled += payload.length;
      expected += 1;
      if (part.filled === messageBytes) {
        whole.push(part.bytes);
        part = undefined;
        deliver();
      }
      return undefined;
    },

    receive(stop) {
      return new Promise((resolve, reject) => {
        if (whole.length === 0 && ended) {
          reject(ended);
          return;
        }
        const receiver = { resolve, reject };
        receivers.push(receiver);
        stop((error) => {
          const index = receivers.indexOf(receiver);
          if (index >= 0) receivers.splice(index, 1);
          reject(error);
        });
        deliver();
      });
    },

    end(error) {
      ended = error;
      for (const { reject } of receivers.splice(0)) reject(error);
    },
  };
}
