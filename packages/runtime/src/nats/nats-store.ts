/** What a cluster keeps in common, in the JetStream of a NATS server. */
import {
  DeliverPolicy,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  StorageType,
} from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { Objm } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';

import type { Change, EngineStore, KeyValue } from '../engine/engine-store.js';
import { keyToken } from '../engine/key-token.js';
import { createQueue } from '../engine/queue.js';

export interface NatsStoreOptions {
  /** Names the cluster; clusters on one server do not see each other. */
  readonly cluster: string;
  /** How long a lease is kept that nobody renews. */
  readonly leaseSeconds?: number;
  /** Most records that the log keeps. */
  readonly logRecords?: number;
}

/** JetStream's number for a comparison that failed. */
const wrongLastSequence = 10_071;

/** Opens the store, and makes what of it is not there yet. Disposal leaves the connection open. */
export async function openNatsStore(
  connection: NatsConnection,
  { cluster, leaseSeconds = 30, logRecords = 10_000 }: NatsStoreOptions,
): Promise<EngineStore> {
  const name = `contextlora-${keyToken(cluster).replaceAll('=', '_')}`;
  const kvm = new Kvm(connection);
  const manager = await jetstreamManager(connection);
  const stream = jetstream(connection);
  const subject = `contextlora.${keyToken(cluster)}.log`;
  const [state, leases, objects] = await Promise.all([
    kvm.create(`${name}-state`, { history: 1, allow_direct: false }),
    kvm.create(`${name}-leases`, { history: 1, allow_direct: false, ttl: leaseSeconds * 1000 }),
    new Objm(connection).create(`${name}-objects`),
    manager.streams.add({
      name: `${name}-log`,
      subjects: [subject],
      max_msgs: logRecords,
      storage: StorageType.File,
    }),
  ]);
  return {
    state: natsKeyValue(state),
    leases: natsKeyValue(leases),
    log: {
      async append(record) {
        await stream.publish(subject, record);
      },
      async *follow(signal) {
        const consumer = await stream.consumers.get(`${name}-log`, { deliver_policy: DeliverPolicy.All });
        const queue = createQueue<Uint8Array>();
        const messages = await consumer.consume({
          callback(message) {
            queue.push(message.data);
          },
        });
        void messages.closed().then(() => {
          queue.close();
        });
        try {
          yield* queue.values(signal);
        } finally {
          await messages.close();
        }
      },
    },
    objects: {
      async put(object, bytes) {
        await objects.putBlob({ name: object }, bytes);
      },
      get: async (object) => (await objects.getBlob(object)) ?? undefined,
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function natsKeyValue(bucket: KV): KeyValue {
  return {
    async read(key) {
      const entry = await bucket.get(key);
      return entry?.operation === 'PUT' ? { value: entry.value, revision: entry.revision } : undefined;
    },
    write: (key, value) => bucket.put(key, value),
    async compareAndSet(key, value, revision) {
      try {
        return revision === 0 ? await bucket.create(key, value) : await bucket.update(key, value, revision);
      } catch (error) {
        if (error instanceof JetStreamApiError && error.code === wrongLastSequence) return undefined;
        throw error;
      }
    },
    remove: (key) => bucket.delete(key),
    async *watch(prefix, signal) {
      const queue = createQueue<Change>();
      const entries = await bucket.watch({ key: `${prefix}.>` });
      const reading = (async () => {
        for await (const { key, value, revision, operation } of entries)
          queue.push({ key, revision, value: operation === 'PUT' ? value : undefined });
        queue.close();
      })();
      try {
        yield* queue.values(signal);
      } finally {
        entries.stop();
        await reading;
      }
    },
  };
}
