/** The plan of a cluster: one at a time, each with an epoch above the last, written only by who knew the last. */
import type { MessageFault } from '../security/control-messages.js';
import { RuntimeError } from '../runtime-error.js';
import type { Engine } from './engine.js';
import { loadObject, type ObjectDigest, storeObject } from './objects.js';

export interface PlanRecord {
  readonly epoch: number;
  /** Who made it. */
  readonly by: string;
  readonly plan: unknown;
}

/** Of the state: under one key, so that writing it is a single comparison. */
const place = 'plan.current';

/**
 * Makes `plan`, a JSON value, the plan of epoch `after` + 1, unless the epoch is no longer `after`; then returns undefined, and the caller
 * reads what was decided instead.
 */
export async function proposePlan(
  engine: Engine,
  plan: unknown,
  { after }: { readonly after: number },
): Promise<PlanRecord | undefined> {
  const { store, messages } = engine;
  const { epoch: current, revision } = await readCurrent(engine);
  if (current !== after) return undefined;
  const body = await storeObject(store, Buffer.from(JSON.stringify(plan)));
  const epoch = after + 1;
  const sealed = messages.seal(place, { epoch, sequence: epoch, body });
  const written = await store.state.compareAndSet(place, sealed, revision);
  return written === undefined ? undefined : { epoch, by: messages.device, plan };
}

/** The epoch of the plan in force; 0 before the first. */
export const readEpoch = async (engine: Engine): Promise<number> => (await readCurrent(engine)).epoch;

async function readCurrent({ store, messages }: Engine): Promise<{ epoch: number; revision: number }> {
  const entry = await store.state.read(place);
  if (!entry) return { epoch: 0, revision: 0 };
  const message = messages.open(place, entry.value);
  if ('fault' in message)
    throw new RuntimeError(
      'RUNTIME_MESSAGE_REFUSED',
      'readEpoch',
      `the plan in the store is refused (${message.fault}): ${message.what}; ` +
        'whoever wrote it does not belong to the cluster, so start the cluster anew with other keys',
    );
  return { epoch: message.epoch, revision: entry.revision };
}

/** The plan in force, if any, then each that replaces it, until the signal. Old ones, and those of devices that may not plan, are refused. */
export async function* watchPlans(engine: Engine, signal: AbortSignal): AsyncGenerator<PlanRecord, void> {
  const { store, messages, onRefused = () => undefined } = engine;
  const refuse = (fault: MessageFault, what: string) => {
    onRefused({ place, fault, what });
  };
  let newest = 0;
  for await (const { key, value } of store.state.watch('plan', signal)) {
    if (key !== place || !value) continue;
    const message = messages.open(place, value);
    if ('fault' in message) {
      onRefused(message);
      continue;
    }
    const { sender, epoch, body } = message;
    if (!messages.isCoordinator(sender)) refuse('role', `${sender} may not make plans`);
    else if (epoch <= newest) refuse('epoch', `a plan of epoch ${epoch} came after that of epoch ${newest}`);
    else if (!isDigest(body)) refuse('malformed', 'it names no plan');
    else {
      newest = epoch;
      const bytes = await loadObject(store, body);
      yield { epoch, by: sender, plan: JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown };
    }
  }
}

const isDigest = (value: unknown): value is ObjectDigest => {
  const { sha256, bytes } = (value ?? {}) as Partial<ObjectDigest>;
  return typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256) && Number.isSafeInteger(bytes);
};
