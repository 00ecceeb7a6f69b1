/** Who is there: every device renews a lease, and whoever watches keeps the time itself, since an expired lease tells nobody. */
import { setTimeout } from 'node:timers/promises';

import { createLiveness } from '../liveness.js';
import { openOnce } from '../security/control-messages.js';
import type { Engine } from './engine.js';
import { keyToken } from './key-token.js';

/** What a device says of itself. */
export interface MemberState {
  /** What it does now, in a few words. */
  readonly doing: string;
  /** The plan that it carries out; 0 before the first. */
  readonly epoch: number;
  /** The run that it works on now, if any. */
  readonly run?: string;
  /** What its layers may take, where it says so. */
  readonly memoryBytes?: number;
}

export interface Member extends MemberState {
  readonly device: string;
}

export interface Lease extends AsyncDisposable {
  /** Tells what the device does from now on. */
  update(state: MemberState): void;
}

const leases = 'members';
const keyOf = (device: string) => `${leases}.${keyToken(device)}`;

/**
 * Joins the cluster until disposal. `firstSequence` must be above that of every earlier lease of this device: milliseconds of the day's clock are.
 * While the store cannot be reached the lease is tried again; others then think that this device is lost.
 */
export async function joinCluster(
  { store, messages }: Engine,
  state: MemberState,
  { firstSequence, renewSeconds = 0.2 }: { readonly firstSequence: number; readonly renewSeconds?: number },
): Promise<Lease> {
  const key = keyOf(messages.device);
  const stop = new AbortController();
  let [current, sequence] = [state, firstSequence];
  const renew = () => {
    const { epoch, ...body } = current;
    return store.leases.write(key, messages.seal(key, { epoch, sequence: sequence++, body }));
  };
  await renew();
  const renewing = (async () => {
    while (await passed(renewSeconds, stop.signal)) await renew().catch(() => undefined);
  })();
  return {
    update(next) {
      current = next;
    },
    async [Symbol.asyncDispose]() {
      if (stop.signal.aborted) return;
      stop.abort();
      await renewing;
      await store.leases.remove(key).catch(() => undefined);
    },
  };
}

/**
 * The members, sorted by name: at first and whenever one joins, leaves, is lost or does something else. A lease counts once it was seen renewed.
 */
export async function* watchMembers(
  { store, messages, onRefused = () => undefined }: Engine,
  {
    clock,
    signal,
    silenceSeconds = 0.7,
    tickSeconds = 0.1,
  }: {
    /** Monotonic seconds. */
    readonly clock: () => number;
    readonly signal: AbortSignal;
    /** A device not heard of for so long is lost. */
    readonly silenceSeconds?: number;
    readonly tickSeconds?: number;
  },
): AsyncGenerator<readonly Member[], void> {
  const members = new Map<string, Member>();
  const seen = new Set<string>();
  const liveness = createLiveness({ clock, silenceSeconds, tickSeconds });
  const open = openOnce(messages);
  const stop = new AbortController();
  const changes = store.leases.watch(leases, AbortSignal.any([signal, stop.signal]));
  let failure: { readonly error: unknown } | undefined;
  const forget = (device: string) => {
    liveness.forget(device);
    seen.delete(device);
    members.delete(device);
  };
  const listening = (async () => {
    for await (const { key, value } of changes) {
      if (!value) {
        for (const device of [...seen]) if (key === keyOf(device)) forget(device);
        continue;
      }
      const message = open(key, value);
      if ('fault' in message) {
        onRefused(message);
        continue;
      }
      const { sender: device, epoch, body } = message;
      if (key !== keyOf(device)) {
        onRefused({ place: key, fault: 'misplaced', what: `it is a lease of ${device}` });
        continue;
      }
      liveness.heard(device);
      if (seen.has(device)) members.set(device, { device, ...stateOf(body), epoch });
      seen.add(device);
    }
  })().catch((error: unknown) => {
    failure = { error };
  });
  let told: string | undefined;
  try {
    while (await passed(tickSeconds, signal)) {
      if (failure) throw failure.error;
      for (const { name } of liveness.silent()) forget(name);
      const list = [...members.values()].sort((a, b) => (a.device < b.device ? -1 : 1));
      const text = JSON.stringify(list);
      if (text === told) continue;
      told = text;
      yield list;
    }
  } finally {
    stop.abort();
    await listening;
  }
}

/** What a lease says, as far as it makes sense. */
function stateOf(body: unknown): Omit<MemberState, 'epoch'> {
  const { doing, run, memoryBytes } = (body ?? {}) as Partial<Record<string, unknown>>;
  return {
    doing: typeof doing === 'string' ? doing : '',
    ...(typeof run === 'string' ? { run } : {}),
    ...(typeof memoryBytes === 'number' && memoryBytes > 0 ? { memoryBytes } : {}),
  };
}

/** Waits; false if the signal ended the wait. */
const passed = (seconds: number, signal: AbortSignal): Promise<boolean> =>
  setTimeout(seconds * 1000, true, { signal }).catch(() => false);
