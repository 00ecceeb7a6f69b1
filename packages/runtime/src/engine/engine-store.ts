/** What a cluster keeps in common, whatever keeps it. All of it is bytes; what they mean, and who may say it, is decided above. */

/** A value and the number of its writing. */
export interface Entry {
  readonly value: Uint8Array;
  readonly revision: number;
}

/** A change of a key; `value` is undefined where it was removed. */
export interface Change {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

/** Keys are words of letters, digits, `_`, `-` and `=`, joined by dots. */
export interface KeyValue {
  read(key: string): Promise<Entry | undefined>;
  /** Returns the revision written. */
  write(key: string, value: Uint8Array): Promise<number>;
  /** Writes if the key still has the revision, 0 for none; undefined if another was first. */
  compareAndSet(key: string, value: Uint8Array, revision: number): Promise<number | undefined>;
  remove(key: string): Promise<void>;
  /** What is there under `prefix.`, then every change, until the signal; throws when the store is gone for good. Values that are overwritten quickly may be skipped. */
  watch(prefix: string, signal: AbortSignal): AsyncGenerator<Change, void>;
}

export interface EngineStore extends AsyncDisposable {
  /** What lasts: the plan and where devices are. */
  readonly state: KeyValue;
  /** What is renewed all the time; entries vanish some time after their last renewal, without a change being told. */
  readonly leases: KeyValue;
  readonly log: {
    append(record: Uint8Array): Promise<void>;
    /** The records kept, then every new one, until the signal; throws when the store is gone for good. */
    follow(signal: AbortSignal): AsyncGenerator<Uint8Array, void>;
  };
  readonly objects: {
    put(name: string, bytes: Uint8Array): Promise<void>;
    get(name: string): Promise<Uint8Array | undefined>;
  };
}
