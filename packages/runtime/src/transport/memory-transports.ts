/** Transports between devices of one process: the reference for every other driver, and the network of tests. */
import { RuntimeError } from '../runtime-error.js';
import type { Transport } from './transport.js';

export interface MemoryTransportOptions {
  /** Frames of a channel that may be under way or unread. */
  readonly window?: number;
}

interface MemoryTransport extends Transport {
  /** Loses the device: what its peers wait for from it, or to send to it, is rejected. */
  lose(): void;
}

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: RuntimeError) => void;
}

/** Frames from one device to another on one channel. */
interface Channel {
  readonly frames: Uint8Array[];
  /** Senders without credit, in order, with their frames. */
  readonly senders: (Waiting<void> & { readonly bytes: Uint8Array })[];
  readonly receivers: Waiting<Uint8Array>[];
}

/** One transport for each device; each reaches all others. */
export function memoryTransports(
  devices: readonly string[],
  { window = 2 }: MemoryTransportOptions = {},
): Map<string, MemoryTransport> {
  const channels = new Map<string, Channel>();
  const gone = new Map<string, 'lost' | 'closed'>();
  const channelOf = (from: string, to: string, name: string): Channel => {
    const key = JSON.stringify([from, to, name]);
    let channel = channels.get(key);
    if (!channel) channels.set(key, (channel = { frames: [], senders: [], receivers: [] }));
    return channel;
  };
  const lost = (where: string, device: string) =>
    new RuntimeError(
      'RUNTIME_PEER_LOST',
      where,
      `${device} ${gone.get(device) === 'closed' ? 'has left' : 'is lost'}`,
      {
        device,
      },
    );
  const closed = (where: string, device: string) =>
    new RuntimeError('RUNTIME_ABORTED', where, `the transport of ${device} is closed`, { device });
  const leave = (device: string, how: 'lost' | 'closed') => {
    if (gone.has(device)) return;
    gone.set(device, how);
    for (const [key, { senders, receivers }] of channels) {
      const [from, to] = JSON.parse(key) as [string, string, string];
      if (from !== device && to !== device) continue;
      const error = (own: string, where: string) =>
        own === device ? closed(where, device) : lost(where, device);
      for (const { reject } of senders.splice(0)) reject(error(from, 'send'));
      for (const { reject } of receivers.splice(0)) reject(error(to, 'receive'));
    }
  };

  return new Map(
    devices.map((device): [string, MemoryTransport] => [
      device,
      {
        device,
        send(peer, name, bytes) {
          if (gone.has(device)) return Promise.reject(closed('send', device));
          if (gone.has(peer)) return Promise.reject(lost('send', peer));
          const { frames, senders, receivers } = channelOf(device, peer, name);
          const receiver = receivers.shift();
          if (receiver) receiver.resolve(bytes);
          else if (frames.length < window) frames.push(bytes);
          else return new Promise((resolve, reject) => senders.push({ resolve, reject, bytes }));
          return Promise.resolve();
        },
        receive(peer, name, { signal } = {}) {
          if (gone.has(device)) return Promise.reject(closed('receive', device));
          const aborted = () =>
            new RuntimeError('RUNTIME_ABORTED', 'receive', `waiting for ${name} of ${peer} was stopped`);
          if (signal?.aborted) return Promise.reject(aborted());
          const { frames, senders, receivers } = channelOf(peer, device, name);
          const frame = frames.shift();
          if (frame) {
            const sender = senders.shift();
            if (sender) frames.push(sender.bytes);
            sender?.resolve();
            return Promise.resolve(frame);
          }
          if (gone.has(peer)) return Promise.reject(lost('receive', peer));
          return new Promise((resolve, reject) => {
            const abort = () => {
              receivers.splice(receivers.indexOf(waiting), 1);
              reject(aborted());
            };
            const forget = () => signal?.removeEventListener('abort', abort);
            const waiting: Waiting<Uint8Array> = {
              resolve(bytes) {
                forget();
                resolve(bytes);
              },
              reject(error) {
                forget();
                reject(error);
              },
            };
            signal?.addEventListener('abort', abort, { once: true });
            receivers.push(waiting);
          });
        },
        lose() {
          leave(device, 'lost');
        },
        [Symbol.asyncDispose]() {
          leave(device, 'closed');
          return Promise.resolve();
        },
      },
    ]),
  );
}
