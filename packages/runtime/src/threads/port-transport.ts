/**
 * A transport over message ports, for devices that are threads of one process: buffers change hands without a copy.
 *
 * A thread that ends closes its ports, by which its peers notice; one that leaves says so first. Nothing here beats: a thread that computes has no
 * time for it.
 */
import type { MessagePort } from 'node:worker_threads';

import { RuntimeError } from '../runtime-error.js';
import type { Transport } from '../transport/transport.js';

/** What ports carry: a frame, the credit for one that has been read, or the goodbye. */
type Packet =
  | { readonly channel: string; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly channel: string; readonly bytes?: undefined }
  | 'bye';

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

interface Channel {
  /** Frames sent and not yet read by the peer. */
  underWay: number;
  readonly senders: (Waiting<void> & { readonly bytes: Uint8Array<ArrayBuffer> })[];
  readonly unread: Uint8Array[];
  readonly receivers: Waiting<Uint8Array>[];
}

interface Link {
  readonly port: MessagePort;
  readonly channels: Map<string, Channel>;
  ended: RuntimeError | undefined;
}

export interface PortTransportOptions {
  /** Frames of a channel that may be under way or unread. @default 2 */
  readonly window?: number;
}

/** The transport of a device, with a port to each of its peers. */
export function portTransport(
  device: string,
  ports: ReadonlyMap<string, MessagePort>,
  { window = 2 }: PortTransportOptions = {},
): Transport {
  const links = new Map<string, Link>();
  let isClosed = false;
  const end = (link: Link, error: RuntimeError) => {
    if (link.ended) return;
    link.ended = error;
    for (const { senders, receivers } of link.channels.values())
      for (const { reject } of [...senders.splice(0), ...receivers.splice(0)]) reject(error);
  };
  const channelOf = ({ channels }: Link, name: string): Channel => {
    let channel = channels.get(name);
    if (!channel) channels.set(name, (channel = { underWay: 0, senders: [], unread: [], receivers: [] }));
    return channel;
  };
  const post = ({ port }: Link, channel: string, bytes: Uint8Array<ArrayBuffer>) => {
    port.postMessage({ channel, bytes } satisfies Packet, [bytes.buffer]);
  };
  const accept = (link: Link, { channel: name, bytes }: Exclude<Packet, 'bye'>) => {
    const channel = channelOf(link, name);
    if (bytes) {
      const receiver = channel.receivers.shift();
      if (!receiver) channel.unread.push(bytes);
      else {
        link.port.postMessage({ channel: name } satisfies Packet);
        receiver.resolve(bytes);
      }
      return;
    }
    const sender = channel.senders.shift();
    if (!sender) channel.underWay -= 1;
    else {
      post(link, name, sender.bytes);
      sender.resolve();
    }
  };
  for (const [peer, port] of ports) {
    const link: Link = { port, channels: new Map(), ended: undefined };
    links.set(peer, link);
    const lose = (how: string) => {
      end(link, new RuntimeError('RUNTIME_PEER_LOST', 'threads', `${peer} ${how}`, { device: peer }));
    };
    port.on('message', (packet: Packet) => {
      if (packet === 'bye') lose('has left');
      else accept(link, packet);
    });
    port.on('close', () => {
      lose('has ended');
    });
  }

  const linkTo = (peer: string, where: string): Link => {
    if (isClosed) throw closed();
    const link = links.get(peer);
    if (link) return link;
    throw new RuntimeError(
      'RUNTIME_INPUT_INVALID',
      where,
      `${peer} is not among the peers of ${device}: ${[...links.keys()].join(', ')}`,
    );
  };
  const closed = () =>
    new RuntimeError('RUNTIME_ABORTED', 'threads', `the transport of ${device} is closed`, { device });

  return {
    device,
    async send(peer, name, bytes) {
      const link = linkTo(peer, 'send');
      if (link.ended) throw link.ended;
      const channel = channelOf(link, name);
      const own = wholeBuffer(bytes);
      if (channel.underWay >= window) {
        await new Promise<void>((resolve, reject) => {
          channel.senders.push({ bytes: own, resolve, reject });
        });
        return;
      }
      channel.underWay += 1;
      post(link, name, own);
    },
    async receive(peer, name, { signal } = {}) {
      const link = linkTo(peer, 'receive');
      const stopped = () =>
        new RuntimeError('RUNTIME_ABORTED', 'receive', `waiting for ${name} of ${peer} was stopped`);
      if (signal?.aborted) throw stopped();
      const { unread, receivers } = channelOf(link, name);
      const bytes = unread.shift();
      if (bytes) {
        if (!link.ended) link.port.postMessage({ channel: name } satisfies Packet);
        return bytes;
      }
      if (link.ended) throw link.ended;
      let onAbort: () => void = () => undefined;
      try {
        return await new Promise<Uint8Array>((resolve, reject) => {
          const waiting: Waiting<Uint8Array> = { resolve, reject };
          onAbort = () => {
            receivers.splice(receivers.indexOf(waiting), 1);
            reject(stopped());
          };
          signal?.addEventListener('abort', onAbort, { once: true });
          receivers.push(waiting);
        });
      } finally {
        signal?.removeEventListener('abort', onAbort);
      }
    },
    [Symbol.asyncDispose]() {
      if (isClosed) return Promise.resolve();
      isClosed = true;
      for (const link of links.values()) {
        if (!link.ended) link.port.postMessage('bye' satisfies Packet);
        end(link, closed());
        link.port.close();
      }
      return Promise.resolve();
    },
  };
}

/** The bytes in a buffer of their own, which can be transferred. */
function wholeBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(bytes);
}
