/** The two ends of each transport that `bench:transports` measures; the far end echoes or counts, as it is told. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';

import { openTransport } from '@contextlora/runtime';
import { grpcWire } from '@contextlora/runtime/grpc';
import { connectNats, natsWire } from '@contextlora/runtime/nats';

/** One way of sending messages to the other end. */
export interface End {
  send(bytes: Uint8Array): Promise<void>;
  receive(): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Told to the far end before each measurement, as one message. */
export interface Order {
  readonly type: 'echo' | 'count' | 'stop';
  readonly messages: number;
}

export interface Meeting {
  /** Tells the other end a word, once. */
  readonly tell: (word: string) => void;
  /** What the other end told. */
  readonly told: Promise<string>;
  readonly natsServer: string;
}

export const kinds = ['tcp', 'threads', 'grpc', 'nats'] as const;
export type Kind = (typeof kinds)[number];

const overWire = async (
  side: 'far' | 'near',
  kind: 'grpc' | 'nats',
  { tell, told, natsServer }: Meeting,
): Promise<End> => {
  const peer = side === 'near' ? 'far' : 'near';
  const transport = await openTransport(
    kind === 'grpc'
      ? grpcWire({
          device: side,
          peers: [peer],
          host: '127.0.0.1',
          announce(endpoint) {
            tell(endpoint);
            return Promise.resolve();
          },
          endpointOf: () => told,
        })
      : natsWire({
          device: side,
          peers: [peer],
          run: 'bench',
          connect: () => connectNats(natsServer, { name: side, reconnect: false }),
        }),
    {
      device: side,
      peers: [peer],
      epoch: 1,
      session: randomInt(2 ** 32),
      clock: () => performance.now() / 1000,
      window: 4,
    },
  );
  return {
    send: (bytes) => transport.send(peer, 'x', bytes),
    receive: () => transport.receive(peer, 'x'),
    async close() {
      await transport[Symbol.asyncDispose]();
    },
  };
};

/** Messages after their length, without frames, checks or credits: what the machine gives. */
async function overTcp(side: 'far' | 'near', { tell, told }: Meeting): Promise<End> {
  let socket: Socket;
  if (side === 'far') {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    tell(String((server.address() as { port: number }).port));
    [socket] = (await once(server, 'connection')) as [Socket];
    server.close();
  } else {
    socket = connect(Number(await told), '127.0.0.1');
    await once(socket, 'connect');
  }
  socket.setNoDelay(true);
  const waiting: ((bytes: Uint8Array) => void)[] = [];
  const whole: Uint8Array[] = [];
  let [head, filled] = [Buffer.alloc(4), 0];
  let body: Buffer | undefined;
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length;) {
      const target = body ?? head;
      const taken = chunk.copy(target, filled, at);
      at += taken;
      filled += taken;
      if (filled < target.length) continue;
      filled = 0;
      if (!body) body = Buffer.alloc(head.readUInt32LE());
      else {
        const next = waiting.shift();
        if (next) next(body);
        else whole.push(body);
        body = undefined;
        head = Buffer.alloc(4);
      }
    }
  });
  return {
    async send(bytes) {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      socket.write(length);
      if (!socket.write(bytes)) await once(socket, 'drain');
    },
    receive: () =>
      whole.length > 0 ? Promise.resolve(whole.shift()!) : new Promise((resolve) => waiting.push(resolve)),
    close() {
      socket.destroy();
      return Promise.resolve();
    },
  };
}

export const openEnd = (
  side: 'far' | 'near',
  kind: Exclude<Kind, 'threads'>,
  meeting: Meeting,
): Promise<End> => (kind === 'tcp' ? overTcp(side, meeting) : overWire(side, kind, meeting));

/** Serves orders until it is told to stop. */
export async function serveOrders(end: End): Promise<void> {
  for (;;) {
    const { type, messages } = JSON.parse(Buffer.from(await end.receive()).toString()) as Order;
    if (type === 'stop') break;
    for (let count = 0; count < messages; count++) {
      const bytes = await end.receive();
      if (type === 'echo') await end.send(bytes);
    }
    if (type === 'count') await end.send(Uint8Array.of(1));
  }
  await setTimeout(20);
  await end.close();
}
