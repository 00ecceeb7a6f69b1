/** A wire of direct gRPC streams between peers. */
import { setTimeout } from 'node:timers/promises';

import {
  type ChannelOptions,
  Client,
  ChannelCredentials,
  type handleBidiStreamingCall,
  Metadata,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';

import { RuntimeError } from '../runtime-error.js';
import { refuseInsecure } from '../security/refuse-insecure.js';
import type { TlsIdentity } from '../security/tls-identity.js';
import type { Lane, OpenWire } from '../transport/wire.js';
import { type PacketStream, packetStream } from './packet-stream.js';

export interface GrpcWireOptions {
  readonly device: string;
  readonly peers: readonly string[];
  /** Address of this device at which its peers reach it, and its port; 0 for any that is free. */
  readonly host: string;
  readonly port?: number;
  /** Tells the peers where this device listens, as `host:port`. */
  readonly announce: (endpoint: string) => Promise<void>;
  /** Where a peer listens; resolves when it is known. */
  readonly endpointOf: (peer: string, signal: AbortSignal) => Promise<string>;
  /** Needed off loopback; both ends then prove their names. */
  readonly tls?: TlsIdentity;
}

const path = '/contextlora.Transport/Exchange';
/** Packets are far smaller; larger messages are refused before they are read. */
const largestBytes = 2 ** 17;
const channelOptions: ChannelOptions = {
  'grpc.max_receive_message_length': largestBytes,
  'grpc.max_send_message_length': largestBytes,
  // Each lane has a connection of its own, so that signs of life do not wait behind data.
  'grpc.use_local_subchannel_pool': 1,
};
const redialSeconds = 0.1;
/** Longest wait for the last packets to leave. */
const closeSeconds = 0.5;
const lanes: readonly Lane[] = ['bulk', 'control'];
const asTheyAre = (bytes: Buffer) => bytes;

/** Of two peers the one whose name sorts first dials the other, once for each lane. */
export function grpcWire({
  device,
  peers,
  host,
  port = 0,
  announce,
  endpointOf,
  tls,
}: GrpcWireOptions): OpenWire {
  refuseInsecure(host, tls, 'grpcWire');
  return async ({ received, lost }) => {
    const closing = new AbortController();
    const clients: Client[] = [];
    const lines = new Map(
      peers.flatMap((peer) => lanes.map((lane) => [lineOf(peer, lane), createLine()] as const)),
    );
    const connectLine = (peer: string, lane: Lane, call: Parameters<typeof packetStream>[0]) => {
      lines.get(lineOf(peer, lane))!.connect(
        packetStream(call, {
          onPacket(packet) {
            received(peer, packet);
          },
          onEnd(why) {
            if (!closing.signal.aborted) lost(peer, `cannot be reached: ${why}`);
          },
        }),
      );
    };

    const accept: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
      const [peer = '', lane = ''] = ['device', 'lane'].map((key) => String(call.metadata.get(key)[0] ?? ''));
      const line = lines.get(lineOf(peer, lane));
      const proven = tls ? call.getAuthContext().sslPeerCertificate?.subject.CN : peer;
      if (proven !== peer || !line || line.stream) {
        const details =
          proven !== peer
            ? `the certificate is not that of ${peer}`
            : line
              ? `${peer} is connected already`
              : `${peer} is not among the peers of ${device}`;
        call.emit('error', { code: status.PERMISSION_DENIED, details });
        return;
      }
      call.sendMetadata(new Metadata());
      connectLine(peer, lane as Lane, call);
    };

    const server = new Server(channelOptions);
    server.register(path, accept, asTheyAre, asTheyAre, 'bidi');
    const bound = await bind(server, { host, port, tls });
    try {
      await announce(`${host}:${bound}`);
    } catch (error) {
      server.forceShutdown();
      throw error;
    }

    const dial = async (peer: string, lane: Lane) => {
      const endpoint = await endpointOf(peer, closing.signal);
      refuseInsecure(endpoint.replace(/:\d+$/, ''), tls, 'grpcWire');
      const credentials = tls
        ? ChannelCredentials.createSsl(
            Buffer.from(tls.ca),
            Buffer.from(tls.key),
            Buffer.from(tls.certificate),
          )
        : ChannelCredentials.createInsecure();
      const client = new Client(endpoint, credentials, {
        ...channelOptions,
        // The peer must show the certificate of its own name, wherever it listens.
        ...(tls && { 'grpc.ssl_target_name_override': peer }),
      });
      clients.push(client);
      const metadata = new Metadata();
      metadata.set('device', device);
      metadata.set('lane', lane);
      while (!closing.signal.aborted) {
        const call = client.makeBidiStreamRequest(path, asTheyAre, asTheyAre, metadata);
        const refusal = await new Promise<(Error & { code?: number }) | undefined>((resolve) => {
          call.once('metadata', () => {
            resolve(undefined);
          });
          call.once('error', resolve);
          call.once('end', () => {
            resolve(new Error('it ended the connection'));
          });
        });
        if (!refusal) {
          connectLine(peer, lane, call);
          return;
        }
        call.on('error', () => undefined);
        call.cancel();
        if (refusal.code !== status.UNAVAILABLE) throw refusal;
        await setTimeout(redialSeconds * 1000, undefined, { signal: closing.signal });
      }
    };
    for (const peer of peers.filter((name) => device < name))
      for (const lane of lanes)
        dial(peer, lane).catch((error: unknown) => {
          if (!closing.signal.aborted) lost(peer, `cannot be reached: ${(error as Error).message}`);
        });

    return {
      async send(peer, packet, lane) {
        const line = lines.get(lineOf(peer, lane));
        if (!line)
          throw new RuntimeError('RUNTIME_INPUT_INVALID', 'grpcWire', `${peer} is not among the peers`);
        // Signs of life are worth nothing later.
        if (lane === 'control' && !line.stream) return;
        const stream = line.stream ?? (await line.connected);
        await stream.write(packet);
      },
      async [Symbol.asyncDispose]() {
        closing.abort();
        for (const line of lines.values()) line.close();
        const end = (lane: Lane) =>
          Promise.all(peers.map((peer) => lines.get(lineOf(peer, lane))!.stream?.end() ?? Promise.resolve()));
        // Data first: while the other lane stands, a peer is not thought to be lost.
        const ended = end('bulk').then(() => end('control'));
        await Promise.race([ended, setTimeout(closeSeconds * 1000, undefined, { ref: false })]);
        for (const client of clients) client.close();
        server.forceShutdown();
      },
    };
  };
}

/** A stream that may not be there yet. */
interface Line {
  readonly stream: PacketStream | undefined;
  /** Rejects when the line is closed first. */
  readonly connected: Promise<PacketStream>;
  connect(stream: PacketStream): void;
  close(): void;
}

function createLine(): Line {
  let stream: PacketStream | undefined;
  let resolve: (stream: PacketStream) => void;
  let reject: (error: Error) => void;
  const connected = new Promise<PacketStream>((done, fail) => {
    [resolve, reject] = [done, fail];
  });
  connected.catch(() => undefined);
  return {
    get stream() {
      return stream;
    },
    connected,
    connect(opened) {
      stream = opened;
      resolve(opened);
    },
    close() {
      reject(new Error('the connection was closed'));
    },
  };
}

const lineOf = (peer: string, lane: string) => JSON.stringify([peer, lane]);

/** The port that the server listens on. */
function bind(
  server: Server,
  {
    host,
    port,
    tls,
  }: { readonly host: string; readonly port: number; readonly tls: TlsIdentity | undefined },
): Promise<number> {
  const credentials = tls
    ? ServerCredentials.createSsl(
        Buffer.from(tls.ca),
        [{ private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.certificate) }],
        true,
      )
    : ServerCredentials.createInsecure();
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
      if (!error) resolve(bound);
      else
        reject(
          new RuntimeError(
            'RUNTIME_INPUT_INVALID',
            'grpcWire',
            `cannot listen on ${host}:${port}: ${error.message}`,
            {
              cause: error,
            },
          ),
        );
    });
  });
}
