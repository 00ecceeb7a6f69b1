/** What a cluster keeps in common, in the JetStream of a NATS server. */
import { setTimeout } from 'node:timers/promises';

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
import { RuntimeError } from '../runtime-error.js';

export interface NatsStoreOptions {
  /** Names the cluster; clusters on one server do not see each other. */
  readonly cluster: string;
  /** Whether to make what of the store is not there yet. In a cluster with registered devices only a coordinator may. */
  readonly create?: boolean;
  /** How long a lease is kept that nobody renews. */
  readonly leaseSeconds?: number;
  /** Most records that the log keeps. */
  readonly logRecords?: number;
}

/** A renewal that is not answered is soon made again. */
const renewTimeoutSeconds = 1;
/** JetStream's number for a comparison that failed. */
const wrongLastSequence = 10_071;
/** Its number for a stream whose subjects another has: also for one that a second device makes while the first is not done making the same. */
const subjectsOverlap = 10_065;
/** How often, and how many seconds apart, a device tries to make what another is making. */
const [makings, makingSeconds] = [20, 0.05];

/** What the parts of a cluster's store are called on the server. */
export function storeNames(cluster: string) {
  const name = `contextlora-${keyToken(cluster).replaceAll('=', '_')}`;
  return {
    state: `${name}-state`,
    leases: `${name}-leases`,
    objects: `${name}-objects`,
    log: `${name}-log`,
    logSubject: `contextlora.${keyToken(cluster)}.log`,
  };
}

/**
 * Opens the store. Disposal leaves the connection open.
 *
 * @throws RuntimeError `RUNTIME_SERVER_UNREACHABLE` if the server keeps nothing for others, or has no such store and `create` is not set.
 */
export async function openNatsStore(
  connection: NatsConnection,
  { cluster, create = true, leaseSeconds = 30, logRecords = 10_000 }: NatsStoreOptions,
): Promise<EngineStore> {
  const names = storeNames(cluster);
  const stream = jetstream(connection);
  const open = async () => {
    const kvm = new Kvm(connection);
    const objm = new Objm(connection);
    if (!create)
      return Promise.all([
        kvm.open(names.state, { allow_direct: false }),
        kvm.open(names.leases, { allow_direct: false, timeout: renewTimeoutSeconds * 1000 }),
        objm.open(names.objects),
      ]);
    const manager = await jetstreamManager(connection);
    const [state, leases, objects] = await Promise.all([
      kvm.create(names.state, { history: 1, allow_direct: false }),
      kvm.create(names.leases, {
        history: 1,
        allow_direct: false,
        ttl: leaseSeconds * 1000,
        timeout: renewTimeoutSeconds * 1000,
      }),
      objm.create(names.objects),
      manager.streams.add({
        name: names.log,
        subjects: [names.logSubject],
        max_msgs: logRecords,
        storage: StorageType.File,
      }),
    ]);
    return [state, leases, objects] as const;
  };
  const openAmongOthers = async () => {
    for (let making = 1; ; making++)
      try {
        return await open();
      } catch (error) {
        const isRace = error instanceof JetStreamApiError && error.code === subjectsOverlap;
        if (!isRace || making === makings) throw error;
        await setTimeout(1000 * makingSeconds);
      }
  };
  const [state, leases, objects] = await openAmongOthers().catch((cause: unknown) => {
    throw new RuntimeError(
      'RUNTIME_SERVER_UNREACHABLE',
      'openNatsStore',
      `the server at ${connection.getServer()} does not open the store of cluster ${cluster}: ${(cause as Error).message}; ` +
        'it needs JetStream, and a coordinator that makes the store',
      { cause },
    );
  });
  return {
    state: natsKeyValue(state),
    leases: natsKeyValue(leases),
    log: {
      async append(record) {
        await stream.publish(names.logSubject, record);
      },
      async *follow(signal) {
        const consumer = await stream.consumers.get(names.log, { deliver_policy: DeliverPolicy.All });
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
          if (!signal.aborted) throw ended('follow');
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

/** A connection that was only interrupted comes back, and what follows changes goes on. */
const ended = (where: string) =>
  new RuntimeError(
    'RUNTIME_SERVER_UNREACHABLE',
    where,
    'the connection to the NATS server has ended for good',
  );

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
        if (!signal.aborted) throw ended('watch');
      } finally {
        entries.stop();
        await reading;
      }
    },
  };
}
