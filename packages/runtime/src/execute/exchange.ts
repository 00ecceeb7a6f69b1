/**
 * What a device sends and receives during a program.
 *
 * A send is not awaited unless too many of its channel are under way. The order in which a device needs messages may differ from the one
 * in which they were sent, so that those which come early wait here.
 */
import { decodeMessage, encodeMessage } from '../message/message.js';
import { RuntimeError } from '../runtime-error.js';
import type { Transport } from '../transport/transport.js';
import { aborted, untilAborted } from './until-aborted.js';

type MessageKind = 'activation' | 'gradient' | 'exchange';

/** A message as it travels. */
interface Sent {
  readonly key: string;
  readonly values: Float32Array;
}

export interface ExchangeOptions {
  /** Distinguishes this run of the program from others, whose late messages are never read. */
  readonly run: number;
  /** Messages of a channel that may be on their way before a send waits. */
  readonly window: number;
  readonly signal: AbortSignal;
}

export interface Exchange {
  send(peer: string, kind: MessageKind, key: string, values: Float32Array): Promise<void>;
  receive(peer: string, kind: MessageKind, key: string): Promise<Float32Array>;
  /** Resolves when everything has been sent. */
  settle(): Promise<void>;
}

export function openExchange(transport: Transport, { run, window, signal }: ExchangeOptions): Exchange {
  const early = new Map<string, Map<string, Float32Array>>();
  const underWay = new Map<string, Promise<void>[]>();
  let failure: Error | undefined;
  const nameOf = (kind: MessageKind) => `${run}/${kind}`;
  const requireSound = () => {
    if (failure !== undefined) throw failure;
    if (signal.aborted) throw aborted();
  };

  return {
    async send(peer, kind, key, values) {
      const channel = nameOf(kind);
      const line = `${peer}\n${channel}`;
      const pending = underWay.get(line) ?? [];
      underWay.set(line, pending);
      while (pending.length >= window) await untilAborted(pending[0]!, signal);
      requireSound();
      const sending = transport.send(peer, channel, encodeMessage({ key, values } satisfies Sent)).then(
        () => {
          void pending.splice(pending.indexOf(sending), 1);
        },
        (error: unknown) => {
          failure ??= error instanceof Error ? error : new Error(String(error));
          void pending.splice(pending.indexOf(sending), 1);
        },
      );
      pending.push(sending);
    },
    async receive(peer, kind, key) {
      const channel = nameOf(kind);
      const line = `${peer}\n${channel}`;
      const stored = early.get(line) ?? new Map<string, Float32Array>();
      early.set(line, stored);
      for (;;) {
        requireSound();
        const found = stored.get(key);
        if (found) {
          stored.delete(key);
          return found;
        }
        const message = decodeMessage(await transport.receive(peer, channel, { signal }));
        if (!isSent(message) || stored.has(message.key))
          throw new RuntimeError(
            'RUNTIME_FRAME_REFUSED',
            'executeProgram',
            `${peer} sent something else than one message for ${key}`,
            { device: peer },
          );
        stored.set(message.key, message.values);
      }
    },
    async settle() {
      await untilAborted(Promise.all([...underWay.values()].flat()), signal);
      requireSound();
    },
  };
}

const isSent = (message: unknown): message is Sent =>
  typeof message === 'object' &&
  message !== null &&
  'key' in message &&
  typeof message.key === 'string' &&
  'values' in message &&
  ArrayBuffer.isView(message.values);
