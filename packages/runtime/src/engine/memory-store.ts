/** What the devices of one process keep in common: for tests and simulations. */
import type { Change, EngineStore, Entry, KeyValue } from './engine-store.js';
import { createQueue, type Queue } from './queue.js';

/** A store in memory, empty; nothing is shared with the caller's bytes. */
export function memoryStore(): EngineStore {
  const records: Uint8Array[] = [];
  const followers = new Set<Queue<Uint8Array>>();
  const objects = new Map<string, Uint8Array>();
  return {
    state: memoryKeyValue(),
    leases: memoryKeyValue(),
    log: {
      append(record) {
        records.push(record.slice());
        for (const follower of followers) follower.push(record.slice());
        return Promise.resolve();
      },
      async *follow(signal) {
        const queue = createQueue<Uint8Array>();
        for (const record of records) queue.push(record.slice());
        followers.add(queue);
        try {
          yield* queue.values(signal);
        } finally {
          followers.delete(queue);
        }
      },
    },
    objects: {
      put(name, bytes) {
        objects.set(name, bytes.slice());
        return Promise.resolve();
      },
      get: (name) => Promise.resolve(objects.get(name)?.slice()),
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function memoryKeyValue(): KeyValue {
  const entries = new Map<string, Entry>();
  const watchers = new Set<{ readonly prefix: string; readonly queue: Queue<Change> }>();
  let revision = 0;
  const change = (key: string, value: Uint8Array | undefined): number => {
    revision += 1;
    if (value) entries.set(key, { value: value.slice(), revision });
    else entries.delete(key);
    for (const { prefix, queue } of watchers)
      if (key.startsWith(`${prefix}.`)) queue.push({ key, value: value?.slice(), revision });
    return revision;
  };
  return {
    read(key) {
      const entry = entries.get(key);
      return Promise.resolve(entry && { ...entry, value: entry.value.slice() });
    },
    write: (key, value) => Promise.resolve(change(key, value)),
    compareAndSet(key, value, expected) {
      if ((entries.get(key)?.revision ?? 0) !== expected) return Promise.resolve(undefined);
      return Promise.resolve(change(key, value));
    },
    remove(key) {
      if (entries.has(key)) change(key, undefined);
      return Promise.resolve();
    },
    async *watch(prefix, signal) {
      const queue = createQueue<Change>();
      for (const [key, entry] of entries) if (key.startsWith(`${prefix}.`)) queue.push({ key, ...entry });
      const watcher = { prefix, queue };
      watchers.add(watcher);
      try {
        yield* queue.values(signal);
      } finally {
        watchers.delete(watcher);
      }
    },
  };
}
