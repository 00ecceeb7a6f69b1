/** A wire through a NATS server, for peers that cannot reach each other directly. */
import type { NatsConnection } from '@nats-io/transport-node';

import { RuntimeError } from '../runtime-error.js';
import type { Lane, OpenWire } from '../transport/wire.js';
import { keyToken } from '../engine/key-token.js';

export interface NatsWireOptions {
  readonly device: string;
  readonly peers: readonly string[];
  /** Names the run; devices of different runs do not hear each other. */
  readonly run: string;
  /** Opens a connection that does not reconnect. Called twice, so that signs of life do not wait behind data. */
  readonly connect: () => Promise<NatsConnection>;
}

const lanes: readonly Lane[] = ['bulk', 'control'];
/** Bytes after which the server is asked whether it has them; more would only fill this process's memory. */
const unflushedBytes = 2 ** 20;
/** Longest wait for the last packets to leave. */
const drainSeconds = 0.5;

/** Subjects name sender and receiver, so that a server can hold every device to its own name. */
export function natsWire({ device, peers, run, connect }: NatsWireOptions): OpenWire {
  const subject = (from: string, to: string, lane: Lane) =>
    ['contextlora', keyToken(run), 'wire', from, to, lane].join('.');
  const me = keyToken(device);
  const tokens = new Map(peers.map((peer) => [peer, keyToken(peer)]));

  return async ({ received, lost }) => {
    const bulk = await connect();
    const control = await connect().catch(async (error: unknown) => {
      await bulk.close();
      throw error;
    });
    const connections: Readonly<Record<Lane, NatsConnection>> = { bulk, control };
    const loseAll = (why: string) => {
      for (const peer of peers) lost(peer, `cannot be reached: ${why}`);
    };
    for (const lane of lanes) {
      const connection = connections[lane];
      for (const [peer, token] of tokens)
        connection.subscribe(subject(token, me, lane), {
          callback(error, message) {
            // An error here is one of the subscription as a whole, such as a missing permission.
            if (error) lost(peer, `cannot be heard: ${error.message}`);
            else received(peer, message.data);
          },
        });
      void connection.closed().then(() => {
        loseAll('the connection to the NATS server has ended');
      });
      void watchForErrors(connection, loseAll);
    }
    await Promise.all([bulk.flush(), control.flush()]);
    let unflushed = 0;

    return {
      async send(peer, packet, lane) {
        const token = tokens.get(peer);
        if (token === undefined)
          throw new RuntimeError('RUNTIME_INPUT_INVALID', 'natsWire', `${peer} is not among the peers`);
        connections[lane].publish(subject(me, token, lane), packet);
        if (lane === 'control') return;
        unflushed += packet.length;
        if (unflushed < unflushedBytes) return;
        unflushed = 0;
        await bulk.flush();
      },
      async [Symbol.asyncDispose]() {
        await Promise.all(
          lanes.map(async (lane) => {
            const connection = connections[lane];
            const drained = connection.drain().catch(() => undefined);
            let timer: NodeJS.Timeout | undefined;
            const late = new Promise((resolve) => {
              timer = setTimeout(resolve, drainSeconds * 1000);
            });
            await Promise.race([drained, late]);
            clearTimeout(timer);
            await connection.close();
          }),
        );
      },
    };
  };
}

/** A server that refuses a message says so here only; the sender would wait for ever. */
async function watchForErrors(connection: NatsConnection, loseAll: (why: string) => void): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'error') loseAll(status.error.message);
    if (status.type === 'disconnect') loseAll('the connection to the NATS server was interrupted');
  }
}
